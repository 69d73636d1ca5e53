import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node, Pod, Service } from '#api/types/core-v1.gen.ts'
import type { EndpointSlice } from '#api/types/discovery-v1.gen.ts'
import { planSlices } from './slices.ts'
import { planSubsets } from './subsets.ts'

const service = (spec: object = {}): Service =>
  ({
    metadata: { name: 'web', namespace: 'default', uid: 's', labels: { team: 'a' } },
    spec: { selector: { app: 'web' }, clusterIP: '10.43.0.7', ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
  }) as unknown as Service

type Options = { ready?: boolean; leaving?: boolean; port?: number; phase?: string; ip?: string; spec?: object }
const pod = (n: number, { ready = true, leaving, port = 8080, phase = 'Running', ip = `10.42.0.${n}`, spec = {} }: Options = {}): Pod =>
  ({
    metadata: { name: `p${n}`, namespace: 'default', uid: `u${n}`, ...(leaving && { deletionTimestamp: 'now' }) },
    spec: { nodeName: 'node-1', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: port }] }], ...spec },
    status: { phase, ...(ip && { podIP: ip, podIPs: [{ ip }] }), conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }) as unknown as Pod

const zoned = () => ({ metadata: { labels: { 'topology.kubernetes.io/zone': 'z1' } } }) as unknown as Node
let made = 0
/** The slices after the plan, and the plan as text. */
function apply(of: Service, pods: Pod[], existing: EndpointSlice[] = []) {
  const steps = planSlices(of, pods, existing, zoned)
  const slices = new Map(existing.map((slice) => [slice.metadata.name, slice]))
  for (const step of steps) {
    if (step.do === 'delete') slices.delete(step.slice.metadata.name)
    else {
      const name = step.slice.metadata.name ?? `web-${(made += 1)}`
      slices.set(name, { ...step.slice, metadata: { ...step.slice.metadata, name } } as EndpointSlice)
    }
  }
  return { steps: steps.map((step) => step.do), slices: [...slices.values()] }
}
const many = (count: number, from = 1) =>
  Array.from({ length: count }, (_, i) => pod(from + i, { ip: `10.42.${Math.floor((from + i) / 250)}.${((from + i) % 250) + 1}` }))
const sizes = (slices: EndpointSlice[]) => slices.map(({ endpoints }) => endpoints.length)

test('an endpoint tells where it is and whether it takes traffic', () => {
  const { slices } = apply(service(), [pod(1)])
  assert.deepEqual(slices[0]?.ports, [{ name: 'http', protocol: 'TCP', port: 8080 }])
  assert.deepEqual(slices[0]?.metadata.labels, {
    team: 'a',
    'kubernetes.io/service-name': 'web',
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
  })
  assert.deepEqual(slices[0]?.endpoints, [
    {
      addresses: ['10.42.0.1'],
      conditions: { ready: true, serving: true, terminating: false },
      targetRef: { kind: 'Pod', namespace: 'default', name: 'p1', uid: 'u1' },
      nodeName: 'node-1',
      zone: 'z1',
    },
  ])
})

test('an endpoint tells for whom it is meant, if the service prefers those nearby', () => {
  const hints = (trafficDistribution: string, of = pod(1)) => apply(service({ trafficDistribution }), [of]).slices[0]?.endpoints[0]?.hints
  const forZones = [{ name: 'z1' }]
  assert.deepEqual(hints('PreferClose'), { forZones })
  assert.deepEqual(hints('PreferSameZone'), { forZones })
  assert.deepEqual(hints('PreferSameNode'), { forNodes: [{ name: 'node-1' }], forZones })
  assert.equal(hints('PreferClose', pod(1, { ready: false })), undefined)
})

test('conditions of all kinds of pods, in slices and in endpoints', () => {
  const pods = [
    pod(1),
    pod(2, { ready: false }),
    pod(3, { leaving: true }),
    pod(4, { leaving: true, ready: false }),
    pod(5, { phase: 'Failed' }),
    pod(6, { ip: '' }),
  ]
  const conditions = (of: Service) =>
    apply(of, pods).slices[0]!.endpoints.map(
      ({ targetRef, conditions: c }) =>
        `${targetRef?.name}${c.ready ? ' ready' : ''}${c.serving ? ' serving' : ''}${c.terminating ? ' terminating' : ''}`,
    )
  assert.deepEqual(conditions(service()), ['p1 ready serving', 'p2', 'p3 serving terminating', 'p4 terminating'])
  assert.deepEqual(conditions(service({ publishNotReadyAddresses: true })), [
    'p1 ready serving',
    'p2 ready',
    'p3 ready serving terminating',
    'p4 ready terminating',
  ])
  const { subsets } = planSubsets(service(), pods)
  assert.deepEqual(
    subsets.map(({ addresses, notReadyAddresses, ports }) => [
      addresses?.map(({ ip }) => ip),
      notReadyAddresses?.map(({ ip }) => ip),
      ports,
    ]),
    [[['10.42.0.1'], ['10.42.0.2'], [{ name: 'http', port: 8080, protocol: 'TCP' }]]],
  )
})

test('nobody there is said, too, and nothing more', () => {
  const { slices, steps } = apply(service(), [])
  assert.deepEqual([steps, sizes(slices)], [['create'], [0]])
  assert.deepEqual(apply(service(), [], slices).steps, [])
  const next = apply(service(), [pod(1)], slices)
  assert.deepEqual([next.steps, sizes(next.slices)], [['update'], [1]])
})

test('at most a hundred a slice, and a change touches one', () => {
  const { slices } = apply(service(), many(250))
  assert.deepEqual(sizes(slices), [100, 100, 50])
  const without = apply(service(), many(250).toSpliced(120, 1), slices)
  assert.deepEqual([without.steps, sizes(without.slices)], [['update'], [100, 99, 50]])
  const more = apply(service(), [...many(250).toSpliced(120, 1), ...many(60, 400)], without.slices)
  assert.deepEqual(
    sizes(more.slices).toSorted((a, b) => b - a),
    [100, 100, 100, 9],
  )
  const few = apply(service(), many(3), slices)
  assert.deepEqual(sizes(few.slices), [3])
  const none = apply(service(), [], slices)
  assert.deepEqual(sizes(none.slices), [0])
})

test('named ports that differ between pods make slices of their own', () => {
  const { slices } = apply(service(), [pod(1), pod(2, { port: 9090 })])
  assert.deepEqual(
    slices.map(({ ports, endpoints }) => [ports[0]?.port, endpoints.length]),
    [
      [8080, 1],
      [9090, 1],
    ],
  )
  const moved = apply(service(), [pod(1, { port: 9090 }), pod(2, { port: 9090 })], slices)
  assert.deepEqual(
    moved.slices.map(({ ports, endpoints }) => [ports[0]?.port, endpoints.length]),
    [[9090, 2]],
  )
  const other = apply(service({ ports: [{ port: 80, targetPort: 7070 }] }), [pod(1)], apply(service(), [pod(1)]).slices)
  assert.deepEqual([other.steps, other.slices[0]?.ports[0]?.port], [['update'], 7070])
})

test('headless services are marked, and name their pods', () => {
  const { slices } = apply(service({ clusterIP: 'None' }), [
    pod(1, { spec: { hostname: 'db-0', subdomain: 'web' } }),
    pod(2, { spec: { hostname: 'x', subdomain: 'other' } }),
  ])
  assert.equal(slices[0]?.metadata.labels?.['service.kubernetes.io/headless'], '')
  assert.deepEqual(
    slices[0]?.endpoints.map(({ hostname }) => hostname),
    ['db-0', undefined],
  )
})

test('two families, two slices', () => {
  const dual = pod(1)
  dual.status.podIPs = [{ ip: '10.42.0.1' }, { ip: 'fd00::1' }]
  const { slices } = apply(service({ ipFamilies: ['IPv4', 'IPv6'] }), [dual])
  assert.deepEqual(
    slices.map(({ addressType, endpoints }) => [addressType, endpoints[0]?.addresses]),
    [
      ['IPv4', ['10.42.0.1']],
      ['IPv6', ['fd00::1']],
    ],
  )
})
