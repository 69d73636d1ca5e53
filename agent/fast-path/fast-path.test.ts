import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fakeNft, inTable, openNft } from 'nft-js'
import { commandText } from 'nft-js/nftables/command.ts'
import { drop, rule } from 'nft-js/nftables/statement.ts'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { type Log, silent } from '#api/log.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { openFastPath } from './fast-path.ts'
import type { Family } from './layout.ts'

const nobody: ReadonlySet<Family> = new Set()

function opened(t: TestContext, nft = fakeNft(), log: Log = silent) {
  const state = { devices: ['coracle0', 'eth0'] }
  const options = { nft, pods: { ip: '10.42.0.0/16', ip6: 'fd00:42::/56' }, devices: async () => state.devices, clock: fakeClock(), log }
  const path = openFastPath({ ...options, ruleset: openRuleset(nft) })
  t.after(() => path.close())
  const names = async () => (await nft.tables()).map(({ family, name }) => `${family} ${name}`)
  return { nft, path, state, names, again: () => openFastPath({ ...options, ruleset: openRuleset(nft) }) }
}

test('connections of pods that stand take it, between the links there are', async (t) => {
  const { nft, path, names } = opened(t)
  await path.apply()
  assert.deepEqual(await names(), [], 'not before it is known who is isolated')
  await path.judge(nobody)
  await path.apply()
  assert.equal(
    await nft.dump('ip', 'coracle-fast'),
    `table ip coracle-fast {
	flowtable fast {
		hook ingress priority filter
		devices = { coracle0, eth0 }
	}

	chain forward {
		type filter hook forward priority filter + 10; policy accept;
		ct state established ip saddr 10.42.0.0/16 flow add @fast comment "from pods"
		ct state established ip daddr 10.42.0.0/16 flow add @fast comment "to pods"
	}
}
`,
  )
  assert.match(await nft.dump('ip6', 'coracle-fast'), /ip6 saddr fd00:42::\/56 flow add @fast/)
  const { length } = nft.transactions
  await path.apply()
  assert.equal(nft.transactions.length, length, 'nothing changes what is right')
})

test('who is isolated is judged packet by packet, in his family', async (t) => {
  const { path, names } = opened(t)
  await path.judge(nobody)
  await path.apply()
  await path.judge(new Set(['ip']))
  assert.deepEqual(await names(), ['ip6 coracle-fast'])
  await path.apply()
  assert.deepEqual(await names(), ['ip6 coracle-fast'])
  await path.judge(nobody)
  await path.apply()
  assert.deepEqual(await names(), ['ip6 coracle-fast', 'ip coracle-fast'])
})

test('other links mean another table, the old one gone before', async (t) => {
  const { nft, path, state } = opened(t)
  await path.judge(nobody)
  await path.apply()
  state.devices = ['eth1', 'coracle0']
  await path.apply()
  assert.match(await nft.dump('ip', 'coracle-fast'), /devices = \{ coracle0, eth1 \}/)
  assert.deepEqual(
    nft.transactions.slice(-2).map((commands) => commands.map((command) => commandText(command)).filter((text) => / table /.test(text))),
    [
      ['delete table ip coracle-fast', 'delete table ip6 coracle-fast'],
      ['add table ip coracle-fast', 'add table ip6 coracle-fast'],
    ],
  )
  state.devices = ['coracle0']
  await path.apply()
  assert.deepEqual(await nft.tables(), [], 'one link alone forwards to nobody')
})

test('a firewall of the host that filters what is forwarded sees every packet', async (t) => {
  const { nft, path, names } = opened(t)
  await path.judge(nobody)
  await path.apply()
  const host = inTable({ family: 'inet', name: 'host' })
  await nft.run([host.add(), host.addChain({ name: 'f', base: { type: 'filter', hook: 'forward', priority: 0, policy: 'accept' } })])
  await path.apply()
  assert.deepEqual(await names(), ['ip coracle-fast', 'ip6 coracle-fast', 'inet host'], 'an empty chain says nothing')
  await nft.run([host.addRule('f', rule(drop))])
  await path.apply()
  assert.deepEqual(await names(), ['inet host'])
  await nft.run([host.delete()])
  await path.apply()
  assert.deepEqual(await names(), ['ip coracle-fast', 'ip6 coracle-fast'])
})

test('what a former agent left is found: kept where it is right, ended where it is not', async (t) => {
  const { nft, path, again } = opened(t)
  await path.judge(nobody)
  await path.apply()
  await path.close()
  const { length } = nft.transactions
  const next = again()
  t.after(() => next.close())
  await next.judge(nobody)
  await next.apply()
  assert.equal(nft.transactions.length, length)
  await next.close()
  const last = again()
  t.after(() => last.close())
  await last.judge(new Set(['ip', 'ip6']))
  assert.deepEqual(await nft.tables(), [])
})

test('a kernel without flowtables is told of once, and left alone', { skip: needsRoot }, async (t) => {
  const nft = await openNft({ netns: await freshNetns(t) })
  t.after(() => nft.close())
  const said: string[] = []
  const { path } = opened(t, nft as never, { ...silent, info: (_, message) => void said.push(message ?? '') })
  await path.judge(nobody)
  try {
    await path.apply()
    await path.apply()
    assert.deepEqual(said, ['this kernel has no flowtables: forwarded packets take the usual path'])
  } catch (error) {
    // One that has them looks for the links, which are not here.
    assert.equal((error as { code?: string }).code, 'ENOENT')
  }
  assert.deepEqual(await nft.tables(), [])
})
