// Endpoints that somebody wrote, and their slices.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EndpointSlice, Endpoints, Service } from '#api/kinds/index.ts'
import { type Alone, alone } from '../alone.fake.ts'
import { endpointSliceMirroring } from './mirror.ts'

const ref = { name: 'db', namespace: 'default' }
const open = () => alone((deps) => [endpointSliceMirroring(deps)])
const serve = ({ client }: Alone, spec: object = {}) => client.put(Service, { metadata: ref, spec: { ports: [{ port: 5432 }], ...spec } })
const write = async (h: Alone, subsets: Endpoints['subsets'], metadata: object = {}) => {
  h.client.put(Endpoints, { metadata: { ...ref, ...metadata }, ...(subsets && { subsets }) })
  await h.settle()
}

/** `IPv4 5432 10.0.0.1 10.0.0.2!`: not ready where it says `!`. */
const slices = async ({ client }: Alone) =>
  (await client.list(EndpointSlice, { namespace: 'default' })).items
    .map(({ addressType, endpoints, ports }) =>
      [
        addressType,
        ...(ports ?? []).map(({ port }) => port),
        ...endpoints.map((each) => `${each.addresses.join()}${each.conditions.ready ? '' : '!'}`),
      ].join(' '),
    )
    .sort()

test('a slice for each family and set of ports, which change with what is written', async () => {
  await using h = await open()
  serve(h)
  await write(h, [
    { addresses: [{ ip: '192.0.2.1' }, { ip: 'fd00::1' }], notReadyAddresses: [{ ip: '192.0.2.2' }], ports: [{ port: 5432 }] },
    { addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 9187 }] },
  ])
  assert.deepEqual(await slices(h), ['IPv4 5432 192.0.2.1 192.0.2.2!', 'IPv4 9187 192.0.2.1', 'IPv6 5432 fd00::1'])
  const [slice] = (await h.client.list(EndpointSlice, { namespace: 'default' })).items
  assert.deepEqual(slice?.metadata.labels, {
    'kubernetes.io/service-name': 'db',
    'endpointslice.kubernetes.io/managed-by': 'endpointslicemirroring-controller.k8s.io',
  })
  assert.equal(slice?.metadata.ownerReferences?.[0]?.kind, 'Endpoints')
  const before = h.client.writes.length
  await write(h, [{ addresses: [{ ip: '192.0.2.9' }], ports: [{ port: 5432 }] }])
  assert.deepEqual(await slices(h), ['IPv4 5432 192.0.2.9'])
  assert.equal(h.client.writes.length - before, 3)
  await h.clock.advance(60_000)
  assert.equal(h.client.writes.length - before, 3)
  assert.deepEqual(h.complaints, [])
})

test('what is not to be mirrored is not, and is no more', async () => {
  const subsets = [{ addresses: [{ ip: '192.0.2.1' }], ports: [{ port: 5432 }] }]
  await using h = await open()
  await write(h, subsets)
  assert.deepEqual(await slices(h), [])
  serve(h)
  await h.settle()
  assert.equal((await slices(h)).length, 1)
  await write(h, subsets, { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } })
  assert.deepEqual(await slices(h), [])
  await write(h, subsets, { annotations: { 'control-plane.alpha.kubernetes.io/leader': '{}' } })
  assert.deepEqual(await slices(h), [])
  await write(h, subsets)
  assert.equal((await slices(h)).length, 1)
  serve(h, { selector: { app: 'db' } })
  await h.settle()
  assert.deepEqual(await slices(h), [])
  serve(h)
  await h.settle()
  h.client.drop(Endpoints, ref)
  await h.settle()
  assert.deepEqual(await slices(h), [])
})

test('more addresses than a slice holds are left out, and told of once', async () => {
  await using h = await open()
  serve(h)
  await write(h, [{ addresses: Array.from({ length: 1010 }, (_, i) => ({ ip: `10.1.${i >> 8}.${i & 255}` })), ports: [{ port: 1 }] }])
  const [slice] = (await h.client.list(EndpointSlice, { namespace: 'default' })).items
  assert.equal(slice?.endpoints.length, 1000)
  assert.deepEqual(h.events, [
    'Warning TooManyAddressesToMirror: A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 10 addresses were skipped',
  ])
})
