// What every Nft does, the kernel's and the fake.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isSysError } from '../sys-error.ts'
import { inTable } from './command.ts'
import { Elements } from './elements.ts'
import { describe } from './expression.ts'
import { type Nft, NftError } from './nft.ts'
import type { SetSpec } from './set.ts'
import * as s from './statement.ts'
import type { NftChange } from './watch.ts'

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

const objects = [
  t.add(),
  t.addObject({ kind: 'counter', name: 'hits', packets: 5n, bytes: 700n }),
  t.addObject({ kind: 'quota', name: 'month', bytes: 25n << 20n, used: 20n, over: true }),
  t.addObject({ kind: 'limit', name: 'slow', rate: 400, per: 'minute' }),
  t.addObject({ kind: 'limit', name: 'wide', rate: 10 << 20, per: 'second', unit: 'bytes', burst: 2 << 20, over: true }),
  t.addObject({ kind: 'ct helper', name: 'ftp', helper: 'ftp', protocol: 'tcp' }),
  t.addObject({ kind: 'ct timeout', name: 'short', protocol: 'tcp', seconds: { established: 100, close_wait: 4 } }),
  t.addObject({ kind: 'ct timeout', name: 'dns', protocol: 'udp', seconds: { unreplied: 5 } }),
  t.addChain({ name: 'c', base: { type: 'filter', hook: 'prerouting', priority: 0 } }),
  t.addRule('c', s.rule(s.object('counter', 'hits'), s.object('quota', 'month'), s.object('limit', 'slow'), s.drop)),
  t.addRule('c', s.rule(s.match('meta l4proto', 'tcp'), s.object('ct helper', 'ftp'))),
  t.addRule('c', s.rule(s.match('meta l4proto', 'tcp'), s.object('ct timeout', 'short'))),
  t.addRule('c', s.rule(s.limit({ rate: 5, per: 'second', burst: 7 }), s.verdict('accept'))),
  t.addRule('c', s.rule(s.limit({ rate: 2048, per: 'hour', unit: 'bytes', over: true }), s.notrack)),
  t.addRule('c', s.rule(s.quota({ bytes: 1234n }), s.counter())),
]
const objectCount = 7

const objectText = `table ip conformance {
	counter hits {
		packets 5 bytes 700
	}

	quota month {
		over 25 mbytes used 20 bytes
	}

	limit slow {
		rate 400/minute
	}

	limit wide {
		rate over 10 mbytes/second burst 2 mbytes
	}

	ct helper ftp {
		type "ftp" protocol tcp
		l3proto ip
	}

	ct timeout short {
		protocol tcp
		l3proto ip
		policy = { established : 100, close_wait : 4 }
	}

	ct timeout dns {
		protocol udp
		l3proto ip
		policy = { unreplied : 5 }
	}

	chain c {
		type filter hook prerouting priority filter; policy accept;
		counter name "hits" quota name "month" limit name "slow" drop
		meta l4proto tcp ct helper set "ftp"
		meta l4proto tcp ct timeout set "short"
		limit rate 5/second burst 7 packets accept
		limit rate over 2 kbytes/hour notrack
		quota 1234 bytes counter packets 0 bytes 0
	}
}
`

const other = inTable({ family: 'ip', name: 'objects' })
const both = inTable({ family: 'inet', name: 'both' })
const ofBoth = [
  both.add(),
  both.addSet(networks),
  both.addChain({ name: 'in', base: { type: 'filter', hook: 'input', priority: 0 } }),
  both.addRule('in', s.rule(s.match('meta nfproto', 'ipv4'), s.match('ip saddr', '@networks'), s.reject('inet'))),
  both.addRule('in', s.rule(s.match('meta nfproto', 'ipv6'), s.match('ip6 saddr', 'fd00::/60'), s.drop)),
  both.addRule('in', s.rule(s.match('meta nfproto', '!=', 'ipv6'), s.counter())),
]
/** Transactions that put one of each into tables: what a listing must agree with nft about. */
export const everything = [whole, objects.map((command) => ({ ...command, table: other.add().table })), ofBoth]

const changeText = (change: NftChange): string => {
  switch (change.what) {
    case 'table':
      return `table ${change.table.family} ${change.table.name}`
    case 'rule':
      return `rule ${change.chain} ${change.rule.expressions.map(describe).join(' ')}`
    case 'elements': {
      const elements = change.elements(change.set === 'services' ? services : networks)
      return `elements ${change.set} { ${Array.from({ length: elements.count }, (_, row) => elements.text(row)).join(', ')} }`
    }
    case 'object':
      return `${change.kind} ${change.name} ${change.object?.kind ?? ''}`.trimEnd()
    case 'set':
      return `set ${change.name} ${change.set?.key.join(' . ') ?? ''}`.trimEnd()
    default:
      return `${change.what} ${change.name}`
  }
}

type Options = { skip?: boolean | string /** The kernel at hand may have none; the fake must. */; flowtables?: boolean }

export const nftConformance = (name: string, open: (t: TestContext) => Promise<Nft>, options: Options = {}): void => {
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

  check('intervals have data and verdicts, and may overlap nothing', async (nft) => {
    const areas: SetSpec = { name: 'areas', key: ['ipv4_addr'], data: 'verdict', flags: ['interval'] }
    const marks: SetSpec = { name: 'marks', key: ['ipv4_addr'], data: ['mark'], flags: ['interval', 'timeout'] }
    await nft.run([
      t.add(),
      t.addChain({ name: 'c' }),
      t.addSet(areas),
      t.addSet(marks),
      t.addElements(new Elements(areas).add(['10.0.0.0/8'], 'accept').add(['255.0.0.0/8'], 'jump c')),
      t.addElements(new Elements(marks).add(['10.0.0.1-10.0.0.9'], [5], { timeoutMs: 3_600_000 })),
    ])
    const text = await dump(nft)
    assert.match(text, /elements = \{ 10\.0\.0\.0\/8 : accept,\s+255\.0\.0\.0\/8 : jump c \}/)
    assert.match(text, /elements = \{ 10\.0\.0\.1-10\.0\.0\.9 timeout 1h : 0x00000005 \}/)
    await assert.rejects(
      nft.run([t.addElements(new Elements(areas).add(['11.0.0.0/8'], 'drop').add(['10.0.0.0/8'], 'drop'))]),
      refused('EEXIST', 'add element ip conformance areas { 10.0.0.0/8 : drop }'),
    )
    await assert.rejects(
      nft.run([t.deleteElements(new Elements(areas).add(['255.0.0.0/8'], 'jump c').add(['12.0.0.0/8'], 'drop'))]),
      refused('ENOENT', 'delete element ip conformance areas { 12.0.0.0/8 : drop }'),
    )
    assert.equal(await dump(nft), text)
  })

  check('rules are put where they belong', async (nft) => {
    const about = (comment: string) => s.commented(comment, s.rule(s.counter()))
    const comments = async () => (await nft.list('ip', 'conformance'))?.chains[0]?.rules.map((rule) => rule.comment)
    await nft.run([t.add(), t.addChain({ name: 'c' }), t.addRule('c', about('b')), t.addRule('c', about('d'))])
    const [b, d] = (await nft.list('ip', 'conformance'))!.chains[0]!.rules.map((rule) => rule.handle)
    await nft.run([t.insertRule('c', about('a')), t.addRule('c', about('c'), b), t.insertRule('c', about('b2'), b)])
    assert.deepEqual(await comments(), ['a', 'b2', 'b', 'c', 'd'])
    await nft.run([t.replaceRule('c', d!, about('e'))])
    assert.deepEqual(await comments(), ['a', 'b2', 'b', 'c', 'e'])
    await assert.rejects(nft.run([t.replaceRule('c', 9999, about('x'))]), refused('ENOENT', 'replace rule ip conformance c handle 9999'))
    await assert.rejects(nft.run([t.addRule('c', about('x'), 9999)]), refused('ENOENT', 'add rule ip conformance c'))
  })

  check('objects are made, used, listed, reset and deleted', async (nft) => {
    await nft.run(objects)
    assert.equal(await dump(nft), objectText)
    await nft.run(objects.slice(0, objectCount + 1))
    assert.equal(await dump(nft), objectText)
    await assert.rejects(nft.run([t.deleteObject('counter', 'hits')]), refused('EBUSY', 'delete counter ip conformance hits'))
    await assert.rejects(nft.run([t.deleteObject('quota', 'hits')]), refused('ENOENT', 'delete quota ip conformance hits'))
    await assert.rejects(nft.run([t.addRule('c', s.rule(s.object('counter', 'other')))]), refused('ENOENT', 'add rule ip conformance c'))
    const before = await nft.reset('ip', 'conformance')
    assert.deepEqual(before[0], { kind: 'counter', name: 'hits', packets: 5n, bytes: 700n })
    const after = (await nft.list('ip', 'conformance'))?.objects[0]
    assert.deepEqual(after, { kind: 'counter', name: 'hits', packets: 0n, bytes: 0n })
    await nft.run([t.flushChain('c'), t.deleteObject('counter', 'hits'), t.deleteObject('limit', 'slow')])
    assert.deepEqual(
      (await nft.list('ip', 'conformance'))?.objects.map(({ kind }) => kind),
      ['quota', 'limit', 'ct helper', 'ct timeout', 'ct timeout'],
    )
  })

  check('flowtables, or the word that there are none', async (nft) => {
    await nft.run([t.add(), t.addChain({ name: 'c', base: { type: 'filter', hook: 'forward', priority: 0 } })])
    const before = await dump(nft)
    const add = [
      t.addFlowtable({ name: 'fast', priority: 5, devices: ['lo'] }),
      t.addRule('c', s.rule(s.match('meta l4proto', 'tcp'), s.flowAdd('fast'))),
    ]
    try {
      await nft.run(add)
    } catch (error) {
      assert(!options.flowtables)
      refused('EOPNOTSUPP', 'add flowtable ip conformance fast: the kernel has no flowtables')(error)
      assert.equal(await dump(nft), before)
      return
    }
    assert.match(
      await dump(nft),
      /\tflowtable fast \{\n\t\thook ingress priority filter \+ 5\n\t\tdevices = \{ lo \}\n\t\}[^]*meta l4proto tcp flow add @fast/,
    )
    await assert.rejects(nft.run([t.deleteFlowtable('fast')]), refused('EBUSY', 'delete flowtable ip conformance fast'))
    await nft.run([t.flushChain('c'), t.deleteFlowtable('fast')])
    assert.equal(await dump(nft), before)
  })

  check('all tables, and the whole rule set', async (nft) => {
    assert.deepEqual([await nft.tables(), await nft.dump()], [[], ''])
    const v6 = inTable({ family: 'ip6', name: 'six' })
    await nft.run([...whole, v6.add()])
    assert.deepEqual(await nft.tables(), [
      { family: 'ip', name: 'conformance' },
      { family: 'ip6', name: 'six' },
    ])
    assert.equal(await nft.dump(), `${text}table ip6 six {\n}\n`)
    assert.equal(await nft.dump('ip6'), 'table ip6 six {\n}\n')
    await nft.run(ofBoth)
    assert.match(await nft.dump('inet'), /\t\tip saddr @networks reject\n\t\tip6 saddr fd00::\/60 drop\n\t\tmeta nfproto != ipv6 counter/)
  })

  check('what a transaction changes is told, once it is done', async (nft) => {
    const controller = new AbortController()
    const told = (await nft.watch(controller.signal))[Symbol.asyncIterator]()
    const changes = async () => {
      const { value } = await told.next()
      assert(value?.kind === 'transaction')
      return value.changes.map((change: NftChange) => `${change.gone ? '-' : '+'} ${changeText(change)}`)
    }
    await nft.run([
      t.add(),
      t.addChain({ name: 'c' }),
      t.addSet(services),
      t.addSet(networks),
      t.addElements(one('10.43.0.1', 'goto c').add(['10.43.0.2', 'udp', 53], 'drop')),
      t.addElements(new Elements(networks).add(['10.0.0.0/8']).add(['192.168.0.3-192.168.0.9'])),
      t.addObject({ kind: 'counter', name: 'hits' }),
      t.addRule('c', s.rule(s.object('counter', 'hits'))),
    ])
    assert.deepEqual(await changes(), [
      '+ table ip conformance',
      '+ chain c',
      '+ set services ipv4_addr . inet_proto . inet_service',
      '+ set networks ipv4_addr',
      '+ elements services { 10.43.0.1 . tcp . 80 : goto c, 10.43.0.2 . udp . 53 : drop }',
      '+ elements networks { 10.0.0.0/8, 192.168.0.3-192.168.0.9 }',
      '+ counter hits counter',
      '+ rule c objref type 1 name hits',
    ])
    await assert.rejects(nft.run([t.deleteElements(one('10.43.0.1')), t.deleteChain('nowhere')]))
    await nft.run([t.deleteElements(one('10.43.0.1', 'goto c'))])
    assert.deepEqual(await changes(), ['- elements services { 10.43.0.1 . tcp . 80 : goto c }'])
    await nft.run([t.delete()])
    const last = await changes()
    assert.deepEqual(last.toSorted(), [
      '- chain c',
      '- counter hits',
      '- rule c objref type 1 name hits',
      '- set networks',
      '- set services',
      '- table ip conformance',
    ])
    assert.equal(last.at(-1), '- table ip conformance')
    const end = told.next()
    controller.abort()
    assert.deepEqual(await end, { value: undefined, done: true })
    await assert.rejects(nft.watch(controller.signal), { name: 'AbortError' })
  })

  check('thousands of commands, and thousands that fail: the first is the reason', async (nft) => {
    const chains = Array.from({ length: 5000 }, (_, i) => t.addChain({ name: `c${i}` }))
    await nft.run([t.add(), ...chains])
    assert.equal((await nft.list('ip', 'conformance'))?.chains.length, 5000)
    const missing = Array.from({ length: 20_000 }, (_, i) => t.deleteChain(`no${i}`))
    await assert.rejects(nft.run([t.deleteChain('c0'), ...missing]), refused('ENOENT', 'delete chain ip conformance no0'))
    assert.equal((await nft.list('ip', 'conformance'))?.chains.length, 5000)
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
