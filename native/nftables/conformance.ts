// What every Nft does, the kernel's and the fake.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isSysError } from '../sys-error.ts'
import { inTable } from './command.ts'
import { Elements } from './elements.ts'
import { type Nft, NftError } from './nft.ts'
import * as s from './statement.ts'
import type { SetSpec } from './table.ts'

const t = inTable({ family: 'ip', name: 'conformance' })
const key = ['ip daddr', 'meta l4proto', 'th dport'] as const
const services: SetSpec = { name: 'services', key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: 'verdict' }
const backends: SetSpec = { name: 'backends', key: [...key, 'numgen random mod 1'], data: ['ip daddr', 'th dport'] }
const networks: SetSpec = { name: 'networks', key: ['ipv4_addr'], flags: ['interval'] }
const ranges: SetSpec = { name: 'ranges', key: ['ipv4_addr', 'inet_proto', 'inet_service'], flags: ['interval'] }
const seen: SetSpec = { name: 'seen', key: ['ipv4_addr'], flags: ['dynamic', 'timeout'], timeoutMs: 90_000, size: 2 }
const clients: SetSpec = {
  name: 'clients',
  key: ['ipv4_addr', 'ipv4_addr', 'inet_service'],
  data: ['ipv4_addr', 'inet_service'],
  flags: ['dynamic', 'timeout'],
  size: 9,
}
const one = (address: string, verdict: 'accept' | 'drop' | `goto ${string}` = 'drop') =>
  new Elements(services).add([address, 'tcp', 80], verdict)

const whole = [
  t.add(),
  t.addChain({ name: 'lb-1' }),
  t.addChain({ name: 'in', base: { type: 'nat', hook: 'prerouting', priority: -100 } }),
  t.addChain({ name: 'guard', base: { type: 'filter', hook: 'forward', priority: 5, policy: 'drop' } }),
  t.addSet(services),
  t.addSet(backends),
  t.addSet(networks),
  t.addSet(seen),
  t.addSet(clients),
  t.addElements(one('10.43.0.1', 'goto lb-1').add(['10.43.0.1', 'udp', 53], 'drop')),
  t.addElements(new Elements(backends).add(['10.43.0.1', 'tcp', 80, 0], ['10.42.0.7', 8080])),
  t.addElements(new Elements(networks).add(['10.0.0.0/8']).add(['192.168.0.1']).add(['192.168.0.3-192.168.0.9']).add(['255.0.0.0/8'])),
  t.addRule('lb-1', s.rule(s.match('ip saddr', '!=', '10.42.0.0/16'), s.setMark({ set: 0x4000 }))),
  t.addRule('lb-1', s.rule(s.dnat('ip', s.lookup([...key, 'numgen random mod 1'], 'backends')))),
  t.addRule('lb-1', s.rule(s.dnat('ip', s.lookup([...key, 'jhash ip saddr mod 1'], 'backends')))),
  t.addRule('in', s.rule(s.vmap(key, 'services'))),
  t.addRule('in', s.commented('local addresses', s.rule(s.match('fib daddr type', 'local'), s.counter(), s.leave))),
  t.addRule('guard', s.rule(s.match('ip daddr', '!=', '@networks'), s.update('seen', ['ip saddr'], 60_000))),
  t.addRule(
    'guard',
    s.rule(
      s.match('ct protocol', 'tcp'),
      s.update('clients', ['ip saddr', 'ct original ip daddr', 'ct original proto-dst'], 60_000, [
        'ct reply ip saddr',
        'ct reply proto-src',
      ]),
    ),
  ),
  t.addRule('guard', s.rule(s.match('fib saddr type', '!=', 'local'), s.missing(['ip saddr', 'ip daddr', 'th dport'], 'clients'))),
  t.addRule('guard', s.rule(s.match('ct state', 'new'), s.match('meta l4proto', 'tcp'), s.reject('ip', 'tcp reset'))),
  t.addRule('guard', s.rule(s.match('ip saddr', '10.0.0.0/9'), s.match('iifname', 'cor*'), s.reject('ip'))),
]

const text = `table ip conformance {
	map services {
		type ipv4_addr . inet_proto . inet_service : verdict
		elements = { 10.43.0.1 . tcp . 80 : goto lb-1,
			     10.43.0.1 . udp . 53 : drop }
	}

	map backends {
		typeof ip daddr . meta l4proto . th dport . numgen random mod 1 : ip daddr . th dport
		elements = { 10.43.0.1 . tcp . 80 . 0 : 10.42.0.7 . 8080 }
	}

	set networks {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8,
			     192.168.0.1,
			     192.168.0.3-192.168.0.9,
			     255.0.0.0/8 }
	}

	set seen {
		type ipv4_addr
		size 2
		flags dynamic,timeout
		timeout 1m30s
	}

	map clients {
		type ipv4_addr . ipv4_addr . inet_service : ipv4_addr . inet_service
		size 9
		flags dynamic,timeout
	}

	chain lb-1 {
		ip saddr != 10.42.0.0/16 meta mark set meta mark | 0x00004000
		dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 1 map @backends
		dnat ip to ip daddr . meta l4proto . th dport . jhash ip saddr mod 1 map @backends
	}

	chain in {
		type nat hook prerouting priority dstnat; policy accept;
		ip daddr . meta l4proto . th dport vmap @services
		fib daddr type local counter packets 0 bytes 0 return comment "local addresses"
	}

	chain guard {
		type filter hook forward priority filter + 5; policy drop;
		ip daddr != @networks update @seen { ip saddr timeout 1m }
		ct protocol tcp update @clients { ip saddr . ct original ip daddr . ct original proto-dst timeout 1m : ct reply ip saddr . ct reply proto-src }
		fib saddr type != local ip saddr . ip daddr . th dport != @clients
		ct state new reject with tcp reset
		ip saddr 10.0.0.0/9 iifname "cor*" reject
	}
}
`

export const nftConformance = (name: string, open: (t: TestContext) => Promise<Nft>, options: { skip?: boolean | string } = {}): void => {
  const check = (what: string, body: (nft: Nft) => Promise<void>) =>
    test(`${name} nft: ${what}`, options, async (t) => {
      const nft = await open(t)
      t.after(() => nft.close())
      await body(nft)
    })
  const dump = (nft: Nft) => nft.dump('ip', 'conformance')
  const refused = (code: string, detail: string) => (error: unknown) => {
    assert(error instanceof NftError && isSysError(error, code), `${String(error)} instead of ${code}`)
    assert.equal(error.detail, detail)
    return true
  }

  check('a table that is not there', async (nft) => {
    assert.equal(await nft.list('ip', 'conformance'), undefined)
    assert.equal(await dump(nft), '')
    await assert.rejects(nft.run([t.delete()]), refused('ENOENT', 'delete table ip conformance'))
  })

  check('everything that is put in is read back', async (nft) => {
    await nft.run(whole)
    assert.equal(await dump(nft), text)
    assert.equal(await nft.dump('ip6', 'conformance'), '')
    await nft.run([t.add(), t.delete()])
    assert.equal(await dump(nft), '')
    await nft.run([t.add(), t.delete(), ...whole])
    assert.equal(await dump(nft), text)
  })

  check('a transaction is all or nothing, and the error names the element', async (nft) => {
    await nft.run(whole)
    const bad = one('10.43.0.2').add(['10.43.0.3', 'tcp', 80], 'goto nowhere').add(['10.43.0.4', 'tcp', 80], 'drop')
    const commands = [t.deleteElements(one('10.43.0.1')), t.addElements(bad), t.flushSet('backends')]
    await assert.rejects(nft.run(commands), (error) => {
      assert(error instanceof NftError)
      assert.equal(error.code, 'ENOENT')
      assert.equal(error.command, commands[1])
      assert.equal(error.row, 1)
      assert.equal(error.detail, 'add element ip conformance services { 10.43.0.3 . tcp . 80 : goto nowhere }')
      return true
    })
    assert.equal(await dump(nft), text)
    await assert.rejects(
      nft.run([t.deleteElements(one('9.9.9.9'))]),
      refused('ENOENT', 'delete element ip conformance services { 9.9.9.9 . tcp . 80 : drop }'),
    )
  })

  check('an element is replaced by deleting and adding it', async (nft) => {
    await nft.run(whole)
    await assert.rejects(
      nft.run([t.addElements(one('10.43.0.1', 'accept'))]),
      refused('EEXIST', 'add element ip conformance services { 10.43.0.1 . tcp . 80 : accept }'),
    )
    await nft.run([t.addElements(one('10.43.0.1', 'goto lb-1'))])
    await nft.run([t.deleteElements(one('10.43.0.1')), t.addElements(one('10.43.0.1', 'accept'))])
    assert.equal(await dump(nft), text.replace('tcp . 80 : goto lb-1', 'tcp . 80 : accept'))
  })

  check('what is in use stays', async (nft) => {
    await nft.run(whole)
    await assert.rejects(nft.run([t.deleteSet('services')]), refused('EBUSY', 'delete set ip conformance services'))
    await assert.rejects(nft.run([t.deleteChain('lb-1')]), refused('EBUSY', 'delete chain ip conformance lb-1'))
    await nft.run([t.deleteElements(one('10.43.0.1')), t.deleteChain('lb-1')])
    const left = await nft.list('ip', 'conformance')
    assert.deepEqual(
      left?.chains.map((chain) => chain.name),
      ['in', 'guard'],
    )
  })

  check('rules go by handle, and chains and sets are flushed', async (nft) => {
    await nft.run(whole)
    const [rule] = (await nft.list('ip', 'conformance'))?.chains.find((chain) => chain.name === 'guard')?.rules ?? []
    assert(rule)
    await nft.run([t.deleteRule('guard', rule.handle), t.flushChain('in'), t.flushSet('networks')])
    const left = await nft.list('ip', 'conformance')
    assert.deepEqual(
      left?.chains.map((chain) => chain.rules.length),
      [3, 0, 4],
    )
    assert.deepEqual(
      left?.sets.map((set) => set.elements.count),
      [2, 1, 0, 0, 0],
    )
    await assert.rejects(
      nft.run([t.deleteRule('guard', rule.handle)]),
      refused('ENOENT', `delete rule ip conformance guard handle ${rule.handle}`),
    )
  })

  check('one set alone, with what is left of its timeouts', async (nft) => {
    await nft.run(whole)
    await nft.run([t.addElements(new Elements(clients).add(['192.0.2.1', '10.43.0.1', 80], ['10.42.0.7', 8080], { timeoutMs: 60_000 }))])
    const found = await nft.elements('ip', 'conformance', clients)
    assert.deepEqual(found?.values(0), { key: ['192.0.2.1', '10.43.0.1', '80'], data: ['10.42.0.7', '8080'] })
    assert.equal(found?.options.get(0)?.timeoutMs, 60_000)
    assert.equal((await nft.elements('ip', 'conformance', networks))?.count, 4)
    assert.equal(await nft.elements('ip', 'conformance', { name: 'other', key: ['ipv4_addr'] }), undefined)
    assert.equal(await nft.elements('ip', 'elsewhere', clients), undefined)
  })

  check('intervals are deleted by their bounds', async (nft) => {
    await nft.run([
      t.add(),
      t.addSet(networks),
      t.addElements(new Elements(networks).add(['10.0.0.0/8']).add(['11.0.0.0/8']).add(['12.0.0.1'])),
    ])
    await nft.run([t.deleteElements(new Elements(networks).add(['11.0.0.0/8']))])
    const elements = (await nft.list('ip', 'conformance'))?.sets[0]?.elements
    assert.deepEqual(
      Array.from({ length: elements?.count ?? 0 }, (_, row) => elements?.text(row)),
      ['10.0.0.0/8', '12.0.0.1'],
    )
  })

  check('fields of a concatenation are intervals each', async (nft) => {
    const all = new Elements(ranges)
      .add(['10.0.0.0/8', 'tcp', '80-90'])
      .add(['10.0.0.0/8', 'udp', 53])
      .add(['11.0.0.1-11.0.0.6', 'tcp', 80])
    await nft.run([
      t.add(),
      t.addSet(ranges),
      t.addElements(all),
      t.addChain({ name: 'c' }),
      t.addRule('c', s.rule(s.match('ct direction', 'reply'), s.contained(['ip daddr', 'meta l4proto', 'th sport'], 'ranges'), s.leave)),
    ])
    await nft.run([
      t.deleteElements(new Elements(ranges).add(['10.0.0.0/8', 'tcp', '80-90'])),
      t.addElements(new Elements(ranges).add(['10.0.0.0/9', 'tcp', '80-90'])),
    ])
    assert.equal(
      await dump(nft),
      `table ip conformance {
\tset ranges {
\t\ttype ipv4_addr . inet_proto . inet_service
\t\tflags interval
\t\telements = { 10.0.0.0/9 . tcp . 80-90,
\t\t\t     10.0.0.0/8 . udp . 53,
\t\t\t     11.0.0.1-11.0.0.6 . tcp . 80 }
\t}

\tchain c {
\t\tct direction reply ip daddr . meta l4proto . th sport @ranges return
\t}
}
`,
    )
  })

  check('elements have timeouts and sets a size', async (nft) => {
    await nft.run([t.add(), t.addSet(seen), t.addElements(new Elements(seen).add(['10.0.0.1'], undefined, { timeoutMs: 3_600_000 }))])
    assert.match(await dump(nft), /elements = \{ 10\.0\.0\.1 timeout 1h \}/)
    const more = new Elements(seen).add(['10.0.0.2']).add(['10.0.0.3'])
    await assert.rejects(nft.run([t.addElements(more)]), refused('ENFILE', 'add element ip conformance seen { 10.0.0.3 }'))
  })

  check('a generation that is past refuses the transaction', async (nft) => {
    const generation = await nft.generation()
    await nft.run([t.add()], { generation })
    assert.notEqual(await nft.generation(), generation)
    await assert.rejects(nft.run([t.delete()], { generation }), { code: 'ERESTART' })
    assert(await nft.list('ip', 'conformance'))
  })

  check('tens of thousands of elements in one transaction', async (nft) => {
    const many = new Elements(backends)
    for (let i = 0; i < 30_000; i++) {
      const at = many.row()
      many.words.set([i, 6, 80, i % 3, i + 1, 90], at)
    }
    await nft.run([t.add(), t.addSet(backends), t.addElements(many)])
    const read = (await nft.list('ip', 'conformance'))?.sets[0]?.elements
    assert.equal(read?.count, 30_000)
    const keys = new Map(Array.from({ length: 30_000 }, (_, row) => [read.keyOf(row), read.dataOf(row)]))
    for (let row = 0; row < 30_000; row++) assert.equal(keys.get(many.keyOf(row)), many.dataOf(row))
    await nft.run([t.deleteElements(many)])
    assert.equal((await nft.list('ip', 'conformance'))?.sets[0]?.elements.count, 0)
  })
}
