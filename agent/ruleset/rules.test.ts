import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { fakeClock } from '#api/clock.fake.ts'
import { silent } from '#api/log.ts'
import type { NetworkPolicy } from '#api/types/networking-v1.gen.ts'
import { wholePolicy } from '../policy/fixtures.ts'
import { bothNetworks, service, slice, wholeProxy } from '../proxy/fixtures.ts'
import { openRules, removeRules } from './rules.ts'

const run = promisify(execFile)

test('a change of mode leaves no rules of the other behind, and cleaning up leaves none at all', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const dataDir = await mkdtemp(join(tmpdir(), 'agent-'))
  t.after(() => rm(dataDir, { recursive: true }))
  const inside = async (...command: string[]) => (await run('nsenter', [`--net=${netns}`, ...command])).stdout
  const options = { dataDir, netns, nodeName: 'here', networks: bothNetworks, clock: fakeClock(), log: silent }
  const served = async (mode: 'auto' | 'nftables' | 'iptables') => {
    const rules = await openRules({ ...options, mode })
    await wholeProxy(rules.proxy).apply([service('web', '10.43.0.1')], [slice('web', ['10.42.0.2'])])
    await wholePolicy(rules.policy).apply({ policies: [], pods: [], namespaces: [], placed: [] })
    await rules.close()
    const [tables, legacy] = [await inside('nft', 'list', 'tables'), await inside('iptables-legacy-save')]
    return [
      rules.mode,
      ...['table ip coracle\n', 'table ip coracle-policy'].map((table) => tables.includes(table)),
      legacy.includes('CORACLE'),
    ]
  }
  await inside('nft', 'add table inet house { chain input { type filter hook input priority 0; }; }')
  const before = await inside('nft', 'list', 'ruleset')
  assert.deepEqual(await served('auto'), ['nftables', true, true, false])
  assert.deepEqual(await served('iptables'), ['iptables', false, true, true])
  assert.deepEqual(await served('iptables'), ['iptables', false, true, true])
  assert.deepEqual(await served('nftables'), ['nftables', true, true, false])
  assert.deepEqual(await served('iptables'), ['iptables', false, true, true])
  await removeRules({ dataDir, netns, log: silent })
  assert.equal(await inside('nft', 'list', 'ruleset'), before)
  for (const program of ['iptables-legacy-save', 'ip6tables-legacy-save']) assert.doesNotMatch(await inside(program), /CORACLE|coracle/)
  assert.deepEqual(await readdir(dataDir), [])
  await removeRules({ dataDir, netns, log: silent })
})

test('a kernel without nf_tables gets iptables by itself, and policies are told that they are not in force', {
  skip: needsRoot,
}, async (t) => {
  const netns = await freshNetns(t)
  const dataDir = await mkdtemp(join(tmpdir(), 'agent-'))
  t.after(() => rm(dataDir, { recursive: true }))
  const none = { tables: async () => undefined, dataDir, netns, nodeName: 'here', networks: bothNetworks, clock: fakeClock(), log: silent }
  const rules = await openRules({ ...none, mode: 'auto' })
  assert.equal(rules.mode, 'iptables')
  const policy = { metadata: { name: 'all' }, spec: { podSelector: {} } } as unknown as NetworkPolicy
  const { errors } = await wholePolicy(rules.policy).apply({ policies: [policy], pods: [], namespaces: [], placed: [] })
  assert.deepEqual(errors, [{ policy, reason: 'this node has no nf_tables: its pods are not isolated' }])
  await rules.close()
  await assert.rejects(openRules({ ...none, mode: 'nftables' }), /--proxy-mode nftables: this kernel has no nf_tables/)
})
