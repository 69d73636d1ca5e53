import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Elements, fakeNft, inTable, type Nft, NftError } from 'nft-js'
import { commandText } from 'nft-js/nftables/command.ts'
import { silent } from '#api/log.ts'
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
