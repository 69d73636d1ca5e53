import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Elements, fakeNft, inTable, type Nft, NftError, openNft } from 'nft-js'
import { commandText } from 'nft-js/nftables/command.ts'
import type { NftSet } from 'nft-js/nftables/table.ts'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import type { Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { networks, service, slice, wholeProxy } from './fixtures.ts'
import { openProxy } from './proxy.ts'

const proxyOn = (nft: Nft, flows: unknown[] = []) =>
  wholeProxy(
    openProxy({
      ruleset: openRuleset(nft),
      conntrack: {
        async remove(...filters) {
          flows.push(...filters)
          return filters.length
        },
      },
      log: silent,
      nodeName: 'here',
      networks,
    }),
  )

/** The last transaction, a line for each command or element. */
const last = ({ transactions }: ReturnType<typeof fakeNft>): string[] =>
  (transactions.at(-1) ?? []).flatMap((command) =>
    'elements' in command
      ? Array.from({ length: command.elements.count }, (_, row) => commandText(command, row).replace('ip coracle ', ''))
      : [commandText(command).replace('ip coracle ', '')],
  )

test('an endpoint that goes leaves its slot to the last one', async () => {
  const nft = fakeNft()
  const proxy = proxyOn(nft)
  await proxy.apply([service('web', '10.43.0.1')], [slice('web', ['10.42.0.2', '10.42.0.3', '10.42.0.4'])])
  await proxy.apply([service('web', '10.43.0.1')], [slice('web', ['10.42.0.3', '10.42.0.4'])])
  assert.deepEqual(last(nft), [
    'add chain lb-2',
    'add rule lb-2',
    'add rule lb-2',
    'delete element services { 10.43.0.1 . tcp . 80 : goto lb-3 }',
    'delete element backends { 10.43.0.1 . tcp . 80 . 0 : 10.42.0.2 . 8080 }',
    'delete element backends { 10.43.0.1 . tcp . 80 . 2 : 10.42.0.4 . 8080 }',
    'add element services { 10.43.0.1 . tcp . 80 : goto lb-2 }',
    'add element backends { 10.43.0.1 . tcp . 80 . 0 : 10.42.0.4 . 8080 }',
    'delete chain lb-3',
  ])
})

test('what stays the same is not touched, also after a restart', async () => {
  const nft = fakeNft()
  const services = [service('web', '10.43.0.1'), service('db', '10.43.0.2')]
  const web = slice('web', ['10.42.0.2', '10.42.0.3'])
  await proxyOn(nft).apply(services, [web, slice('db', ['10.42.0.4', '10.42.0.5'])])
  const proxy = proxyOn(nft)
  await proxy.apply(services, [web, slice('db', ['10.42.0.4', '10.42.0.5'])])
  assert.equal(nft.transactions.length, 1)
  await proxy.apply(services, [web, slice('db', ['10.42.0.4', '10.42.0.6'])])
  assert.deepEqual(last(nft), [
    'delete element backends { 10.43.0.2 . tcp . 80 . 1 : 10.42.0.5 . 8080 }',
    'add element backends { 10.43.0.2 . tcp . 80 . 1 : 10.42.0.6 . 8080 }',
  ])
})

test('a table that someone changed is set right', async () => {
  const nft = fakeNft()
  const proxy = proxyOn(nft)
  const table = { family: 'ip', name: 'coracle' } as const
  const apply = () => proxy.apply([service('web', '10.43.0.1')], [slice('web', ['10.42.0.2'])])
  await apply()
  const right = await nft.dump('ip', 'coracle')
  for (const damage of [
    [{ table, does: 'delete table' }],
    [{ table, does: 'flush chain', name: 'translate' }],
    [{ table, does: 'flush chain', name: 'lb-1' }],
    [
      { table, does: 'flush set', name: 'services' },
      { table, does: 'flush set', name: 'backends' },
    ],
    [{ table, does: 'add chain', chain: { name: 'stranger' } }],
    [{ table, does: 'add chain', chain: { name: 'lb-7' } }],
  ] as const) {
    await nft.run(damage)
    assert.notEqual(await nft.dump('ip', 'coracle'), right)
    await apply()
    assert.equal(await nft.dump('ip', 'coracle'), right)
  }
})

test('UDP flows are forgotten where their endpoint went or there was none', async () => {
  const flows: unknown[] = []
  const proxy = proxyOn(fakeNft(), flows)
  const dns = service('dns', '10.43.0.10', { type: 'NodePort', ports: [{ port: 53, protocol: 'UDP', nodePort: 30053 }] })
  const port = [{ name: '', protocol: 'UDP' as const, port: 5353 }]
  await proxy.apply([dns], [])
  assert.deepEqual(flows.splice(0), [])
  await proxy.apply([dns], [slice('dns', ['10.42.0.2', '10.42.0.3'], port)])
  assert.deepEqual(flows.splice(0), [
    { protocol: 'udp', original: { destination: '10.43.0.10', destinationPort: 53 } },
    { protocol: 'udp', original: { destinationPort: 30053 } },
  ])
  await proxy.apply([dns], [slice('dns', ['10.42.0.3'], port)])
  const reply = { source: '10.42.0.2', sourcePort: 5353 }
  assert.deepEqual(flows.splice(0), [
    { protocol: 'udp', original: { destination: '10.43.0.10', destinationPort: 53 }, reply },
    { protocol: 'udp', original: { destinationPort: 30053 }, reply },
  ])
})

test('clients are forgotten by session affinity whose backend went', async () => {
  const nft = fakeNft()
  const proxy = proxyOn(nft)
  const web = service('web', '10.43.0.1', {
    type: 'NodePort',
    ports: [{ port: 80, nodePort: 30080 }],
    sessionAffinity: 'ClientIP',
  })
  await proxy.apply([web], [slice('web', ['10.42.0.2', '10.42.0.3'])])
  const clients = (await nft.list('ip', 'coracle'))?.sets.find(({ spec }) => spec.name === 'clients')?.spec
  assert(clients)
  const remember = async (client: string, address: string, port: number, backend: string) =>
    nft.run([
      inTable({ family: 'ip', name: 'coracle' }).addElements(new Elements(clients).add([client, address, 'tcp', port], [backend, 8080])),
    ])
  const remembered = async () => {
    const found = await nft.elements('ip', 'coracle', clients)
    return Array.from({ length: found?.count ?? 0 }, (_, row) => found?.text(row))
  }
  const kept = ['198.51.100.1 . 10.43.0.1 . tcp . 80 : 10.42.0.3 . 8080', '198.51.100.3 . 192.0.2.1 . tcp . 30080 : 10.42.0.3 . 8080']
  const fill = async () => {
    await remember('198.51.100.1', '10.43.0.1', 80, '10.42.0.3')
    await remember('198.51.100.2', '10.43.0.1', 80, '10.42.0.2')
    await remember('198.51.100.3', '192.0.2.1', 30080, '10.42.0.3')
    await remember('198.51.100.4', '192.0.2.1', 30080, '10.42.0.2')
  }
  await fill()
  await proxy.apply([web], [slice('web', ['10.42.0.3'])])
  assert.deepEqual(await remembered(), kept)
  // As after a restart, before which it went unnoticed.
  await fill()
  await proxyOn(nft).apply([web], [slice('web', ['10.42.0.3'])])
  assert.deepEqual(await remembered(), kept)
  const { run } = nft
  let expired = true
  nft.run = async (commands, options) => {
    const gone = commands.find((command) => command.does === 'delete element' && command.elements.spec.name === 'clients')
    if (expired && gone) {
      expired = false
      await run([
        inTable({ family: 'ip', name: 'coracle' }).deleteElements(
          new Elements(clients).add(['198.51.100.3', '192.0.2.1', 'tcp', 30080], ['10.42.0.3', 8080]),
        ),
      ])
    }
    return run(commands, options)
  }
  await proxy.apply([{ ...web, spec: { ...web.spec, sessionAffinity: 'None' } }], [slice('web', ['10.42.0.3'])])
  assert.deepEqual([await remembered(), expired], [[], false])
})

test('a service that the kernel refuses does not keep the others from it', async () => {
  const nft = fakeNft()
  const { run } = nft
  nft.run = async (commands, options) => {
    for (const command of commands) {
      if (command.does !== 'add element') continue
      for (let row = 0; row < command.elements.count; row++)
        if (command.elements.text(row).startsWith('10.43.0.2 .')) throw new NftError('ENOSPC', command, row)
    }
    return run(commands, options)
  }
  const { errors } = await proxyOn(nft).apply([service('web', '10.43.0.1'), service('db', '10.43.0.2')], [])
  assert.deepEqual(
    errors.map(({ object, reason }) => `${object.metadata.name}: ${reason}`),
    ['db: 10.43.0.2 tcp 80: nftables: ENOSPC: add element ip coracle unreachable { 10.43.0.2 . tcp . 80 : goto reject-chain }'],
  )
  const text = await nft.dump('ip', 'coracle')
  assert.match(text, /10\.43\.0\.1 \. tcp \. 80/)
  assert.doesNotMatch(text, /10\.43\.0\.2/)
})

/** Everything in the table, but the slots, of which only that they are dense is checked, and in which part of them a backend is. */
const content = async (nft: Nft): Promise<string[]> => {
  const table = await nft.list('ip', 'coracle')
  assert(table)
  const rows = (name: string) => {
    const { spec, elements } = table.sets.find(({ spec }) => spec.name === name) as NftSet
    return Array.from({ length: elements.count }, (_, row) => ({ spec, ...elements.values(row) }))
  }
  const verdicts = new Map(['services', 'node-ports'].flatMap(rows).map(({ key, data }) => [key.join(' '), data[0] ?? '']))
  const slots = new Map<string, number[]>()
  const found = table.sets.flatMap(({ spec: { name } }) =>
    rows(name).map(({ key, data }) => {
      if (!name.endsWith('backends')) return `${name} ${key.join(' ')} : ${data.join(' ')}`
      const frontend = key.slice(0, -1).join(' ')
      const slot = Number(key.at(-1))
      slots.set(frontend, [...(slots.get(frontend) ?? []), slot])
      const [, outside = 0, , inside = 0] = /(\d+)-of-(\d+)(?:-from-(\d+))?/.exec(verdicts.get(frontend) ?? '') ?? []
      const reached = `${slot < Number(outside) ? 'outside' : ''} ${slot >= Number(inside) ? 'inside' : ''}`
      return `${name} ${frontend} : ${data.join(' ')} ${reached}`
    }),
  )
  for (const [frontend, numbers] of slots)
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      numbers.map((_, i) => i),
      frontend,
    )
  return [...found, ...table.chains.map(({ name, rules }) => `chain ${name} ${rules.length}`)].sort()
}

/** A repeatable sequence of numbers below `limit`. */
const randomly = (seed: number) => {
  let state = seed
  return (limit: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

const model = async (nft: Nft, steps: number): Promise<void> => {
  const below = randomly(42)
  let proxy = proxyOn(nft)
  const services = new Map<number, Service>()
  const slices = new Map<number, EndpointSlice>()
  for (let step = 0; step < steps; step++) {
    const i = below(8)
    switch (below(6)) {
      case 0:
        services.delete(i)
        break
      case 1:
        slices.delete(i)
        break
      case 2:
        proxy = proxyOn(nft)
        break
      case 3: {
        const ranges = ['0.0.0.0/0', '10.0.0.0/8', '198.51.100.0/24', '203.0.113.9/32'].filter(() => below(2))
        const outside = {
          type: 'LoadBalancer' as const,
          externalIPs: [`192.0.2.${below(3)}`],
          ...(below(2) && { externalTrafficPolicy: 'Local' as const }),
          ...(ranges.length > 0 && { loadBalancerSourceRanges: ranges }),
        }
        const ports = [{ port: 80 + below(2), nodePort: 30000 + below(4), protocol: below(2) ? ('TCP' as const) : ('UDP' as const) }]
        const sticky = { sessionAffinity: 'ClientIP' as const, sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 + below(2) } } }
        const next = service(`s${i}`, `10.43.0.${i}`, { ports, ...(below(2) && outside), ...(below(3) === 0 && sticky) })
        services.set(i, { ...next, status: { loadBalancer: { ingress: [{ ip: `192.0.2.${below(4) + 3}` }] } } })
        break
      }
      default: {
        const endpoints = Array.from({ length: below(6) }, () => ({
          addresses: [`10.42.0.${below(12)}`],
          nodeName: below(2) ? 'here' : 'elsewhere',
          ...(below(4) === 0 && { conditions: { ready: false, serving: true, terminating: true } }),
        }))
        const port = 8080 + below(2)
        slices.set(
          i,
          slice(`s${i}`, endpoints, [
            { name: '', protocol: 'TCP', port },
            { name: '', protocol: 'UDP', port },
          ]),
        )
      }
    }
    await proxy.apply([...services.values()], [...slices.values()])
    const fresh = fakeNft()
    await proxyOn(fresh).apply([...services.values()], [...slices.values()])
    assert.deepEqual(await content(nft), await content(fresh), `step ${step}`)
  }
}

test('after any sequence of changes the table is as one made from nothing', () => model(fakeNft(), 300))

test('so it is in the kernel', { skip: needsRoot }, async (t) => {
  const nft = await openNft({ netns: await freshNetns(t) })
  t.after(() => nft.close())
  await model(nft, 100)
})
