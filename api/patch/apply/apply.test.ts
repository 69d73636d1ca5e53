import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStatus } from '../../errors.ts'
import { schemaOf } from '../../schema/compile.ts'
import { decode, type JsonObject } from '../../schema/decode.ts'
import { setDefaults } from '../../schema/defaults.ts'
import { parseJson } from '../../schema/json.ts'
import type { Struct } from '../../schema/schema.ts'
import type { ManagedFieldsEntry } from '../../types/meta-v1.gen.ts'
import { applyPatch } from './apply.ts'
import { trackUpdate } from './track.ts'

const schema = (group: string, kind: string): Struct => {
  const found = schemaOf({ group, version: 'v1', kind })
  assert(found)
  return found
}
const deployment = schema('apps', 'Deployment')
let tick = 0
const now = () => `2024-01-01T00:00:${String(tick++ % 60).padStart(2, '0')}Z`

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze)
  return Object.freeze(value)
}
/** As the server does after a patch. */
const settle = (kind: Struct, object: JsonObject): JsonObject => {
  const settled = decode(kind, object).object
  setDefaults(kind, settled)
  return freeze(settled)
}
const config = (spec: object, metadata: object = {}): JsonObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', ...metadata },
  spec,
})
const apply = (live: JsonObject | undefined, patch: JsonObject, manager: string, options: { force?: boolean; subresource?: string } = {}) =>
  settle(deployment, applyPatch({ schema: deployment, live, patch: freeze(patch), manager, now: now(), ...options }))
const update = (before: JsonObject | undefined, after: JsonObject, manager: string, subresource?: string): JsonObject =>
  freeze(trackUpdate({ schema: deployment, before, after: settle(deployment, after), manager, subresource, now: now() }))

type Loose = JsonObject & { spec: JsonObject; metadata: JsonObject & { managedFields?: ManagedFieldsEntry[] } }
const loose = (object: JsonObject): Loose => object as Loose
const spec = (object: JsonObject) => loose(object).spec
const owners = (object: JsonObject) =>
  Object.fromEntries(
    (loose(object).metadata.managedFields ?? []).map((entry) => [
      `${entry.manager}/${entry.operation}${entry.subresource ? `/${entry.subresource}` : ''}`,
      entry.fieldsV1,
    ]),
  )
const container = (rest: object) => ({ template: { spec: { containers: [{ name: 'a', image: 'a:1', ...rest }] } } })
const refusal = (run: () => unknown) => {
  try {
    run()
  } catch (error) {
    assert(isStatus(error))
    return error
  }
  throw new Error('accepted')
}

test('an apply creates the object and owns what it names', () => {
  const live = apply(undefined, config({ replicas: 2, ...container({ ports: [{ containerPort: 80 }] }) }, { labels: { a: '1' } }), 'one')
  assert.deepEqual(owners(live), {
    'one/Apply': {
      'f:metadata': { 'f:labels': { 'f:a': {} } },
      'f:spec': {
        'f:replicas': {},
        'f:template': {
          'f:spec': {
            'f:containers': {
              'k:{"name":"a"}': {
                '.': {},
                'f:image': {},
                'f:name': {},
                'f:ports': { 'k:{"containerPort":80,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
              },
            },
          },
        },
      },
    },
  })
})

test('the same apply again changes nothing, not even the time', () => {
  const patch = config({ replicas: 2, ...container({ resources: { limits: { cpu: '1000m' } } }) })
  const live = apply(undefined, patch, 'one')
  assert.equal(applyPatch({ schema: deployment, live, patch, manager: 'one', now: now() }), live)
})

test('a create and an update own what they set', () => {
  const object = config({ replicas: 2, selector: { matchLabels: { a: '1' } }, ...container({}) }, { labels: { a: '1' } })
  const created = update(undefined, object, 'kubectl-create')
  assert.deepEqual(owners(created), {
    'kubectl-create/Update': {
      'f:metadata': { 'f:labels': { '.': {}, 'f:a': {} } },
      'f:spec': {
        'f:replicas': {},
        'f:selector': {},
        'f:template': {
          'f:spec': { 'f:containers': { 'k:{"name":"a"}': { '.': {}, 'f:image': {}, 'f:name': {}, 'f:resources': {} } } },
        },
      },
    },
  })
  const scaled = update(created, { ...created, spec: { ...spec(created), replicas: 3 } }, 'scaler')
  assert.deepEqual(owners(scaled)['scaler/Update'], { 'f:spec': { 'f:replicas': {} } })
  assert.deepEqual(Object.keys((owners(scaled)['kubectl-create/Update'] as { 'f:spec': object })['f:spec']), ['f:selector', 'f:template'])
  const status = update(scaled, { ...scaled, status: { replicas: 1 } }, 'controller', 'status')
  assert.deepEqual(owners(status)['controller/Update/status'], { 'f:status': { 'f:replicas': {} } })
})

test('an update of what it owns already reuses the entries', () => {
  const first = update(undefined, config({ replicas: 1 }), 'one')
  const second = update(first, { ...first, spec: { ...spec(first), replicas: 2 } }, 'one')
  assert.equal(loose(second).metadata.managedFields?.[0], loose(first).metadata.managedFields?.[0])
})

test('what an update removes, nobody owns', () => {
  const first = update(undefined, config({ replicas: 1, paused: true }), 'one')
  const second = update(first, config({ replicas: 1 }), 'two')
  assert.deepEqual(owners(second), { 'one/Update': { 'f:spec': { 'f:replicas': {} } } })
})

test('a field of another manager is a conflict, in Kubernetes’ words', () => {
  const live = update(undefined, config({ replicas: 2, ...container({}) }), 'kubectl-client-side-apply')
  const one = refusal(() => apply(live, config({ replicas: 3 }), 'kubectl'))
  assert.equal(one.reason, 'Conflict')
  assert.equal(one.message, 'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas')
  assert.deepEqual(one.details?.causes, [
    { reason: 'FieldManagerConflict', message: 'conflict with "kubectl-client-side-apply" using apps/v1', field: '.spec.replicas' },
  ])
  const two = refusal(() => apply(live, config({ replicas: 3, ...container({ image: 'a:2' }) }), 'ci'))
  assert.equal(
    two.message,
    'Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name="a"].image',
  )
  const status = update(live, { ...live, status: { replicas: 1 } }, 'controller', 'status')
  assert.match(
    refusal(() => apply(status, { ...config({}), status: { replicas: 2 } }, 'ci', { subresource: 'status' })).message,
    /conflict with "controller" with subresource "status" using apps\/v1: \.status\.replicas$/,
  )
})

test('force takes the field over', () => {
  const live = apply(undefined, config({ replicas: 2, paused: true }), 'one')
  const forced = apply(live, config({ replicas: 3 }), 'two', { force: true })
  assert.equal(spec(forced).replicas, 3)
  assert.deepEqual(owners(forced), { 'one/Apply': { 'f:spec': { 'f:paused': {} } }, 'two/Apply': { 'f:spec': { 'f:replicas': {} } } })
})

test('the same value is shared, and stays while one owner is left', () => {
  const live = apply(undefined, config({ replicas: 2 }), 'one')
  const shared = apply(live, config({ replicas: 2 }), 'two')
  const once = apply(shared, config({ paused: true }), 'one')
  assert.equal(spec(once).replicas, 2)
  assert.deepEqual(owners(once), { 'one/Apply': { 'f:spec': { 'f:paused': {} } }, 'two/Apply': { 'f:spec': { 'f:replicas': {} } } })
  assert(!('replicas' in spec(apply(once, config({ paused: true }), 'two'))))
})

test('items of a list by key: added by two, removed by one', () => {
  const env = (...names: string[]) => config(container({ env: names.map((name) => ({ name, value: '1' })) }))
  const live = apply(undefined, env('A', 'B'), 'one')
  const both = apply(
    live,
    { ...env('C'), spec: { template: { spec: { containers: [{ name: 'a', env: [{ name: 'C', value: '1' }] }] } } } },
    'two',
  )
  const names = (object: JsonObject) =>
    (spec(object) as { template: { spec: { containers: { env?: { name: string }[] }[] } } }).template.spec.containers[0]?.env?.map(
      ({ name }) => name,
    )
  assert.deepEqual(names(both), ['A', 'B', 'C'])
  assert.deepEqual(names(apply(both, env('B'), 'one')), ['B', 'C'])
  const gone = apply(both, config({ replicas: 1 }), 'one')
  assert.deepEqual(names(gone), ['C'], 'the container stays, since another manager names it')
})

test('an item that its only owner drops goes whole, defaults and all', () => {
  const live = apply(undefined, config(container({ ports: [{ containerPort: 80 }, { containerPort: 81, protocol: 'UDP' }] })), 'one')
  const dropped = apply(live, config(container({ ports: [{ containerPort: 81, protocol: 'UDP' }] })), 'one')
  assert.deepEqual((spec(dropped) as { template: { spec: { containers: object[] } } }).template.spec.containers, [
    { name: 'a', image: 'a:1', ports: [{ containerPort: 81, protocol: 'UDP' }], resources: {} },
  ])
})

test('sets merge by value, atomic values are owned whole', () => {
  const one = apply(undefined, config({ selector: { matchLabels: { a: '1', b: '2' } } }, { finalizers: ['x/a', 'x/b'] }), 'one')
  const two = apply(one, config({ selector: { matchLabels: { a: '1' } } }, { finalizers: ['x/c'] }), 'two', { force: true })
  assert.deepEqual(loose(two).metadata.finalizers, ['x/a', 'x/b', 'x/c'])
  assert.deepEqual(spec(two).selector, { matchLabels: { a: '1' } })
  assert.deepEqual(loose(apply(two, config({}, { finalizers: ['x/b'] }), 'one')).metadata.finalizers, ['x/b', 'x/c'])
  assert.deepEqual(Object.keys(owners(one)['one/Apply']?.['f:metadata'] as object), ['f:finalizers'])
})

test('kubectl takes over only what is still as it applied it from the client’s side', () => {
  const before = config({ replicas: 2, paused: true })
  const annotation = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(before) }
  const live = update(undefined, config({ replicas: 2, paused: true }, { annotations: annotation }), 'kubectl-client-side-apply')
  const scaled = update(live, { ...live, spec: { ...spec(live), replicas: 7 } }, 'scaler')
  assert.equal(refusal(() => apply(scaled, config({ replicas: 5, paused: true }), 'kubectl')).reason, 'Conflict')
  assert.equal(spec(apply(scaled, config({ replicas: 7, paused: false }), 'kubectl')).paused, undefined)
})

test('kubectl takes over what it applied from the client’s side', () => {
  const before = config({ replicas: 2, paused: true })
  const annotation = { 'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(before) }
  const live = update(undefined, config({ replicas: 2, paused: true }, { annotations: annotation }), 'kubectl-client-side-apply')
  const next = config({ replicas: 5, paused: true })
  const applied = apply(live, next, 'kubectl')
  assert.equal(spec(applied).replicas, 5)
  const { annotations } = loose(applied).metadata as { annotations: Record<string, string> }
  assert.deepEqual(parseJson(annotations['kubectl.kubernetes.io/last-applied-configuration'] ?? '').value, next)
  assert.equal(refusal(() => apply(live, next, 'ci')).reason, 'Conflict')
  const elsewhere = update(live, { ...live, spec: { ...spec(live), minReadySeconds: 1 } }, 'other')
  assert.match(
    refusal(() => apply(elsewhere, config({ replicas: 5, minReadySeconds: 2 }), 'kubectl')).message,
    /1 conflict: .*minReadySeconds$/,
  )
})

test('managers are forgotten on request, and come back as before-first-apply', () => {
  const live = apply(undefined, config({ replicas: 2 }), 'one')
  const reset = update(live, { ...live, metadata: { ...loose(live).metadata, managedFields: [{}] } }, 'two')
  assert(!('managedFields' in loose(reset).metadata))
  const untouched = update(reset, { ...reset, spec: { ...spec(reset), paused: true } }, 'two')
  assert(!('managedFields' in loose(untouched).metadata))
  assert.match(
    refusal(() => apply(reset, config({ replicas: 3 }), 'one')).message,
    /conflict with "before-first-apply" using apps\/v1: \.spec\.replicas/,
  )
})

test('an update may write managedFields itself, and cannot lose them by leaving them out', () => {
  const live = apply(undefined, config({ replicas: 2 }), 'one')
  const { managedFields: _, ...bare } = loose(live).metadata
  assert.deepEqual(owners(update(live, { ...live, metadata: bare }, 'two')), owners(live))
  const renamed = (loose(live).metadata.managedFields ?? []).map((entry) => ({ ...entry, manager: 'renamed' }))
  assert.deepEqual(Object.keys(owners(update(live, { ...live, metadata: { ...bare, managedFields: renamed } }, 'two'))), ['renamed/Apply'])
  const broken = [{ manager: 'x', operation: 'Nope' }]
  assert.deepEqual(owners(update(live, { ...live, metadata: { ...bare, managedFields: broken } }, 'two')), owners(live))
})

test('at most ten updaters are told apart', () => {
  let live = update(undefined, config({}, { labels: { start: '1' } }), 'm0')
  for (let i = 1; i < 14; i++) {
    live = update(
      live,
      { ...live, metadata: { ...loose(live).metadata, labels: { ...(loose(live).metadata.labels as object), [`l${i}`]: '' } } },
      `m${i}`,
    )
  }
  assert.equal(Object.keys(owners(live)).length, 10)
  assert(owners(live)['ancient-changes/Update'])
})

test('configurations that make no sense', () => {
  const duplicate = config({ template: { spec: { containers: [{ name: 'a' }, { name: 'a' }] } } })
  assert.equal(
    refusal(() => apply(undefined, duplicate, 'one')).message,
    'failed to create typed patch object (web; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name="a"]',
  )
  assert.match(refusal(() => apply(undefined, config({ foo: 1 }), 'one')).message, /: \.spec\.foo: field not declared in schema$/)
  assert.match(
    refusal(() => apply(undefined, config({ template: { spec: { containers: [{ image: 'b' }] } } }), 'one')).message,
    /omits key field "name"/,
  )
  assert.match(refusal(() => apply(undefined, config({ template: [] }), 'one')).message, /\.spec\.template: expected map/)
  assert.match(refusal(() => apply(undefined, config({}, { managedFields: [{ manager: 'x' }] }), 'one')).message, /must be nil/)
})
