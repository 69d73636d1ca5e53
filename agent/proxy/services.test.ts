import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fakeNft, NftError } from 'nft-js'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { informers } from '#api/informer/informers.ts'
import { EndpointSlice, Node, Pod, Service } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { type Log, silent } from '#api/log.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { networks, service, slice } from './fixtures.ts'
import { openProxy } from './proxy.ts'
import { serveServices } from './services.ts'

/** Longer than changes are gathered. */
const SOON_MS = 20

const setup = async (t: TestContext) => {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const nft = fakeNft()
  const logged: string[] = []
  const told: string[] = []
  const log: Log = { ...silent, error: ({ err }, message) => void logged.push(`${message}: ${(err as Error).message}`) }
  const deps = { client, clock, random: () => 0.5, log: silent }
  const watched = informers(deps)
  const events = {
    event: (object: object, type: string, reason: string, message: string) =>
      void told.push(`${(object as KubeObject).metadata.name}: ${type} ${reason} ${message}`),
    flush: async () => {},
    close: async () => {},
  }
  const [services, slices, nodes, pods] = [watched.of(Service), watched.of(EndpointSlice), watched.of(Node), watched.of(Pod)]
  await Promise.all([services, slices, nodes, pods].map((informer) => informer.synced))
  const proxy = openProxy({ ruleset: openRuleset(nft), conntrack: { remove: async () => 0 }, log: silent, nodeName: 'here', networks })
  const served = serveServices({ proxy, services, slices, nodes, pods, nodeName: 'here', events, clock, log, clusterDNS: ['10.43.0.10'] })
  t.after(async () => {
    await served.close()
    await watched.close()
    assert.deepEqual([client.watching, clock.pending], [0, 0])
  })
  await clock.advance(SOON_MS)
  return { client, clock, nft, logged, told, soon: () => clock.advance(SOON_MS), table: () => nft.dump('ip', 'coracle') }
}

const address = (i: number): string => `10.43.${4 + (i >> 8)}.${i & 255}`

test('thousands of changes at once are few transactions', async (t) => {
  const { client, clock, nft, soon } = await setup(t)
  const before = nft.transactions.length
  for (let i = 0; i < 1500; i++) {
    client.put(Service, service(`s${i}`, address(i)))
    client.put(EndpointSlice, slice(`s${i}`, ['10.42.0.2', '10.42.0.3']))
    if (i % 200 === 0) await clock.advance(1)
  }
  await soon()
  const made = nft.transactions.length - before
  assert(made <= 5, `${made} transactions`)
  const elements = (await nft.list('ip', 'coracle'))?.sets.find(({ spec }) => spec.name === 'backends')?.elements
  assert.equal(elements?.count, 3000)
})

test('a transaction that fails changes nothing, is logged with its reason and tried again', async (t) => {
  const { client, clock, nft, logged, soon, table } = await setup(t)
  client.put(Service, service('web', '10.43.0.1'))
  client.put(EndpointSlice, slice('web', ['10.42.0.2', '10.42.0.3']))
  await soon()
  const before = await table()
  const { run } = nft
  let failing = true
  nft.run = async (commands, options) => {
    if (failing) throw new NftError('ENOMEM', commands.at(-1))
    return run(commands, options)
  }
  client.put(EndpointSlice, slice('web', ['10.42.0.4', '10.42.0.5']))
  await soon()
  assert.equal(await table(), before)
  assert.match(logged.join('\n'), /^services could not be applied: nftables: ENOMEM: add element ip coracle backends/)
  failing = false
  await clock.advance(1000)
  assert.match(await table(), /10\.42\.0\.4 \. 8080/)
  assert.doesNotMatch(await table(), /10\.42\.0\.2/)
})

test('what one service gets wrong is an event on it, and the others are served', async (t) => {
  const { client, told, soon, table } = await setup(t)
  client.put(Service, service('bad', '10.43.0.2', { externalIPs: ['here'] }))
  client.put(Service, service('web', '10.43.0.1'))
  await soon()
  assert.deepEqual(told, ['bad: Warning FailedToProgramService here is not an IP address'])
  assert.match(await table(), /10\.43\.0\.1 \. tcp \. 80 : goto reject-chain/)
})

test('headless services, those that are names, and the name server are left alone', async (t) => {
  const { client, nft, soon } = await setup(t)
  const { length } = nft.transactions
  client.put(Service, service('headless', 'None', { clusterIPs: ['None'] }))
  client.put(EndpointSlice, slice('headless', ['10.42.0.2']))
  client.put(Service, service('alias', '', { type: 'ExternalName', externalName: 'example.com', clusterIPs: [] }))
  client.put(Service, service('kube-dns', '10.43.0.10', { ports: [{ port: 53, protocol: 'UDP' }] }))
  await soon()
  await settle()
  assert.equal(nft.transactions.length, length)
})

test('a port that two services want is an event on the later one, once, and it gets it when the other goes', async (t) => {
  const { client, told, soon, table } = await setup(t)
  const wants = (name: string, ip: string, second: number) =>
    service(name, ip, { externalIPs: ['192.0.2.1'], ports: [{ port: 80 }] }, `2026-01-01T00:00:0${second}Z`)
  client.put(Service, wants('late', '10.43.0.2', 2))
  client.put(Service, wants('early', '10.43.0.1', 1))
  client.put(EndpointSlice, slice('late', ['10.42.0.2', '10.42.0.3']))
  await soon()
  client.put(EndpointSlice, slice('early', ['10.42.0.4']))
  client.put(Service, service('other', '10.43.0.3'))
  await soon()
  assert.deepEqual([...new Set(told)], ['late: Warning FailedToProgramService 192.0.2.1 tcp 80 is taken by service default/early'])
  assert.match(await table(), /192\.0\.2\.1 \. tcp \. 80 : goto lb-1[\s\S]*192\.0\.2\.1 \. tcp \. 80 \. 0 : 10\.42\.0\.4/)
  assert.match(await table(), /10\.43\.0\.2 \. tcp \. 80 : goto lb-2/, 'its own address is served')
  await client.delete(Service, { namespace: 'default', name: 'early' })
  await soon()
  assert.match(await table(), /192\.0\.2\.1 \. tcp \. 80 : goto lb-2/)
})

test('what the kernel refuses of one service is an event on it, and everything else is programmed', async (t) => {
  const { client, clock, nft, told, soon, table } = await setup(t)
  const { run } = nft
  nft.run = async (commands, options) => {
    for (const command of commands) {
      if (command.does !== 'add element') continue
      for (let row = 0; row < command.elements.count; row++)
        if (command.elements.text(row).startsWith('10.43.0.2 ')) throw new NftError('ENFILE', command, row)
    }
    return run(commands, options)
  }
  client.put(Service, service('refused', '10.43.0.2', { externalIPs: ['192.0.2.1'] }))
  client.put(EndpointSlice, slice('refused', ['10.42.0.2']))
  client.put(Service, service('web', '10.43.0.1'))
  client.put(EndpointSlice, slice('web', ['10.42.0.3']))
  await soon()
  assert.match(told.join('\n'), /^refused: Warning FailedToProgramService 10\.43\.0\.2 tcp 80: nftables: ENFILE: /)
  assert.match(await table(), /10\.43\.0\.1 \. tcp \. 80 : goto lb-1/)
  assert.match(await table(), /192\.0\.2\.1 \. tcp \. 80 : goto lb-1/, 'what is not refused of it works')
  // Once the kernel takes it, it is there, without a change of the service.
  nft.run = run
  client.put(Service, service('other', '10.43.0.3'))
  await clock.advance(1_000)
  assert.match(await table(), /10\.43\.0\.2 \. tcp \. 80 : goto lb-1/)
})
