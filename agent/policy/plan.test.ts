import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FakeNft, fakeNft, inTable, NftError } from 'nft-js'
import { commandText } from 'nft-js/nftables/command.ts'
import { silent } from '#api/log.ts'
import type { NetworkPolicySpec } from '#api/types/networking-v1.gen.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { app, namespace, type PolicyState, pod, policy, wholePolicy } from './fixtures.ts'
import { openPolicy } from './policy.ts'

const ref = { family: 'ip', name: 'coracle-policy' } as const

const policyOn = (nft: FakeNft) => {
  const enforced = wholePolicy(openPolicy({ ruleset: openRuleset(nft), log: silent, nodeName: 'here', families: ['ip'] }))
  return (state: Partial<PolicyState>) =>
    enforced.apply({ policies: [], pods: [], namespaces: [namespace('default')], placed: [], ...state })
}

const dump = (nft: FakeNft) => nft.dump('ip', 'coracle-policy')

/** The last transaction, a line for each command or element; chains are called a, b, ... in the order in which they come. */
const last = ({ transactions }: FakeNft): string[] => {
  const names = new Map<string, string>()
  return (transactions.at(-1) ?? [])
    .flatMap((command) =>
      'elements' in command
        ? Array.from({ length: command.elements.count }, (_, row) => commandText(command, row))
        : [commandText(command)],
    )
    .map((line) =>
      line.replace('ip coracle-policy ', '').replace(/gress-[\da-f]{16}/g, (name) => {
        if (!names.has(name)) names.set(name, `gress-${String.fromCharCode(97 + names.size)}`)
        return names.get(name) as string
      }),
    )
}

const web = pod('web', '10.42.1.2')
const client = pod('client', '10.42.2.2', { node: 'elsewhere' })
const fromClients = policy('web', { podSelector: app('web'), ingress: [{ from: [{ podSelector: app('client') }], ports: [{ port: 80 }] }] })

test('a peer that comes or goes is an element', async () => {
  const nft = fakeNft()
  const apply = policyOn(nft)
  await apply({ policies: [fromClients], pods: [web, client] })
  const second = pod('client-2', '10.42.2.3', { node: 'elsewhere', labels: { app: 'client' } })
  await apply({ policies: [fromClients], pods: [web, client, second] })
  assert.deepEqual(last(nft), ['add element ingress-a-ports { 10.42.2.3 . tcp . 80 }'])
  await apply({ policies: [fromClients], pods: [web, second] })
  assert.deepEqual(last(nft), ['delete element ingress-a-ports { 10.42.2.2 . tcp . 80 }'])
  await apply({ policies: [fromClients], pods: [web, second] })
  assert.equal(nft.transactions.length, 3)
})

test('a named port towards a block is that of each pod in it', async () => {
  const nft = fakeNft()
  const ports = [{ name: 'metrics', containerPort: 9100 }]
  const inside = pod('inside', '10.42.2.2', { node: 'elsewhere', ports })
  const outside = pod('outside', '10.42.3.2', { node: 'elsewhere', ports })
  const scraping = policy('scraping', {
    podSelector: app('web'),
    policyTypes: ['Egress'],
    egress: [{ to: [{ ipBlock: { cidr: '10.42.2.0/24' } }], ports: [{ port: 'metrics' }] }],
  })
  await policyOn(nft)({ policies: [scraping], pods: [web, inside, outside] })
  assert.deepEqual(
    last(nft).filter((line) => line.startsWith('add element egress-a')),
    ['add element egress-a-ports { 10.42.2.2 . tcp . 9100 }'],
  )
})

test('pods of the same policies share a chain; the last takes it along', async () => {
  const nft = fakeNft()
  const apply = policyOn(nft)
  const replica = pod('web-2', '10.42.1.3', { labels: { app: 'web' } })
  await apply({ policies: [fromClients], pods: [web, client] })
  await apply({ policies: [fromClients], pods: [web, client, replica] })
  assert.deepEqual(last(nft), [
    'add element ingress { 10.42.1.3 : jump ingress-a }',
    'add element ingress-replies { 10.42.1.3 : jump ingress-a-replies }',
    'add element selves { 10.42.1.3 . 10.42.1.3 }',
  ])
  await apply({ policies: [fromClients], pods: [client] })
  assert.deepEqual(last(nft), [
    'delete element ingress { 10.42.1.2 : jump ingress-a }',
    'delete element ingress { 10.42.1.3 : jump ingress-a }',
    'delete element ingress-replies { 10.42.1.2 : jump ingress-a-replies }',
    'delete element ingress-replies { 10.42.1.3 : jump ingress-a-replies }',
    'delete element selves { 10.42.1.2 . 10.42.1.2 }',
    'delete element selves { 10.42.1.3 . 10.42.1.3 }',
    'flush chain forward',
    'flush chain ingress-a',
    'flush chain ingress-a-replies',
    'delete chain forward',
    'delete chain ingress-a',
    'delete chain ingress-a-replies',
    'delete set ingress-a-ports',
  ])
})

test('what changes nothing costs no transaction, also after a restart', async () => {
  const nft = fakeNft()
  await policyOn(nft)({ policies: [fromClients], pods: [web, client] })
  const apply = policyOn(nft)
  await apply({ policies: [fromClients], pods: [web, client] })
  // Policies that select nobody here, pods that nobody asks for, and heartbeats of those that are known.
  const others = [policy('none', { podSelector: app('nobody'), ingress: [] }), policy('else', { ingress: [] }, 'elsewhere')]
  const again = pod('client', '10.42.2.2', { node: 'elsewhere', labels: { seen: 'twice' } })
  await apply({ policies: [fromClients, ...others], pods: [web, again, pod('other', '10.42.2.9', { node: 'elsewhere' })] })
  assert.equal(nft.transactions.length, 1)
})

test('a pod that allows everything needs no chain', async () => {
  const nft = fakeNft()
  await policyOn(nft)({ policies: [policy('deny', { ingress: [] }), policy('allow', { ingress: [{}] })], pods: [web] })
  assert.doesNotMatch(await dump(nft), /elements|ingress-\w{16}/)
})

test('a pod is isolated before the server has heard of its address, and no longer than it has it', async () => {
  const nft = fakeNft()
  const apply = policyOn(nft)
  const policies = [policy('deny', { ingress: [] })]
  const pending = pod('web', [], { phase: 'Pending', created: '2026-01-01T00:00:00Z' })
  const placed = [{ pod: pending, ips: ['10.42.1.2'] }]
  await apply({ policies, placed })
  assert.match(await dump(nft), /elements = \{ 10\.42\.1\.2 : jump ingress-/)
  await apply({ policies, pods: [pending], placed })
  assert.equal(nft.transactions.length, 1)
  // One whose end the server has not heard of has the address no more, though it is younger.
  const open = pod('open', '10.42.1.2', { namespace: 'open', created: '2026-01-02T00:00:00Z' })
  await apply({ policies, pods: [pending, open], placed })
  assert.equal(nft.transactions.length, 1)
  await apply({ policies, pods: [pending, open] })
  assert.doesNotMatch(await dump(nft), /10\.42\.1\.2/)
})

test('tables that someone changed are set right', async () => {
  const nft = fakeNft()
  const apply = policyOn(nft)
  const state = { policies: [fromClients], pods: [web, client] }
  const table = inTable(ref)
  await apply(state)
  const sorted = async () =>
    (await dump(nft))
      .slice(0, -2)
      .split(/\n(?=\t\w)/)
      .map((block) => block.trim())
      .sort()
  const right = await sorted()
  for (const damage of [
    [table.delete()],
    [table.flushChain('forward')],
    [table.flushSet('ingress')],
    [table.addChain({ name: 'stranger' }), table.addRule('stranger', { expressions: [{ name: 'verdict', verdict: 'goto deny' }] })],
    [table.addSet({ name: 'stranger', key: ['ipv4_addr'] })],
    [table.flushChain('forward'), table.flushChain('replies'), table.deleteSet('egress'), table.addSet({ name: 'egress', key: ['mark'] })],
  ]) {
    await nft.run(damage)
    assert.notDeepEqual(await sorted(), right)
    await apply(state)
    assert.deepEqual(await sorted(), right)
  }
})

test('what makes no sense allows nothing, is told where it matters, and the rest holds', async () => {
  const reasons = async (spec: Partial<NetworkPolicySpec>): Promise<[string[], string]> => {
    const nft = fakeNft()
    const { errors } = await policyOn(nft)({ policies: [policy('bad', { ...spec })], pods: [web, client] })
    return [errors.map(({ reason }) => reason), await dump(nft)]
  }
  const good = { from: [{ podSelector: app('client') }] }
  const bad: [Partial<NetworkPolicySpec>['ingress'], string][] = [
    [[{ from: [{ ipBlock: { cidr: '10.0.0.0/33' } }] }], 'spec.ingress[0].from[0].ipBlock: 10.0.0.0/33 is no block of addresses here'],
    [
      [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['fd00::/8'] } }] }],
      'spec.ingress[0].from[0].ipBlock: fd00::/8 is no block of addresses here',
    ],
    [[{ from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] }], 'spec.ingress[0].from[0]: an ipBlock goes with no selector'],
    [[{ from: [{}] }], 'spec.ingress[0].from[0]: it says nobody'],
    [[{ ports: [{ port: 90, endPort: 80 }] }], 'spec.ingress[0].ports[0]: there are no ports 90-80'],
    [[{ ports: [{ port: 'http', endPort: 80 }] }], 'spec.ingress[0].ports[0]: there are no ports http-80'],
    [[{ ports: [{ port: 80, protocol: 'ICMP' as 'TCP' }] }], 'spec.ingress[0].ports[0]: protocol ICMP has no ports'],
  ]
  for (const [ingress = [], reason] of bad) {
    assert.deepEqual((await reasons({ ingress }))[0], [reason])
    const [, closed] = await reasons({ ingress })
    assert.match(closed, /10\.42\.1\.2 : jump ingress/)
    assert.doesNotMatch(closed, /set ingress-/)
    assert.match((await reasons({ ingress: [...ingress, good] }))[1], /-peers \{\n.*\n.*elements = \{ 10\.42\.2\.2 \}/)
  }
  const selector = { matchExpressions: [{ key: 'app', operator: 'Like' as 'In', values: ['w'] }] }
  const [[reason]] = await reasons({ podSelector: selector, ingress: [] })
  assert.equal(reason, 'spec.podSelector: "Like" is not a valid label selector operator')
  assert.deepEqual((await reasons({ podSelector: app('nobody'), ingress: [{ from: [{}] }] }))[0], [])
})

test('a policy that the kernel refuses closes its pods, and no others are the worse for it', async () => {
  const nft = fakeNft()
  const { run } = nft
  nft.run = async (commands, options) => {
    for (const command of commands)
      if (command.does === 'add element' && command.elements.spec.name.endsWith('-ports')) throw new NftError('ENOSPC', command, 0)
    return run(commands, options)
  }
  const apply = policyOn(nft)
  const other = policy('other', { podSelector: app('other'), ingress: [{ from: [{ podSelector: app('client') }] }] })
  const { errors } = await apply({ policies: [fromClients, other], pods: [web, client, pod('other', '10.42.1.3')] })
  assert.deepEqual(
    errors.map(({ policy, reason }) => `${policy.metadata.name}: ${reason.replace(/gress-\w{16}/, 'gress-a')}`),
    ['web: its pods are closed for ingress: nftables: ENOSPC: add element ip coracle-policy ingress-a-ports { 10.42.2.2 . tcp . 80 }'],
  )
  const text = await dump(nft)
  assert.match(text, /10\.42\.1\.2 : jump ingress-/)
  assert.doesNotMatch(text, /-ports/)
  assert.match(text, /-peers \{/)
  nft.run = run
  assert.deepEqual((await apply({ policies: [fromClients, other], pods: [web, client, pod('other', '10.42.1.3')] })).errors, [])
  assert.match(await dump(nft), /-ports \{/)
})
