// Server-side apply between several appliers, by @kubernetes/client-node: lists by key, sets, atomic
// lists, shared ownership, conflicts, and what happens when they fight.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppsV1Api, PatchStrategy, setHeaderOptions, type V1Deployment } from '@kubernetes/client-node'
import { type Json, testServer } from './server.ts'

const { config, ask } = await testServer()
const apps = config.makeApiClient(AppsV1Api)
const namespace = 'default'
const path = `/apis/apps/v1/namespaces/${namespace}/deployments`

const frame = (name: string, spec: Json = {}, template: Json = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace },
  spec: { selector: { matchLabels: { app: name } }, template: { metadata: { labels: { app: name } }, ...template }, ...spec },
})

type Outcome = { code: number; body: Json }
async function apply(name: string, fieldManager: string, body: object, { force = false, status = false } = {}): Promise<Outcome> {
  const query = `fieldManager=${fieldManager}${force ? '&force=true' : ''}`
  const to = `${path}/${name}${status ? '/status' : ''}?${query}`
  return await ask('PATCH', to, body, { 'content-type': 'application/apply-patch+yaml' })
}
const containers = (...list: Json[]) => ({ spec: { containers: list } })
const shown = ({ spec }: V1Deployment): string =>
  (spec?.template.spec?.containers ?? [])
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, image, env }) => `${name}=${image}${(env ?? []).map((e) => `,${e.name}:${e.value ?? ''}`).join('')}`)
    .join(' ')
const current = async (name: string) => shown(await apps.readNamespacedDeployment({ namespace, name }))
const ok = async (outcome: Promise<Outcome>): Promise<Json> => {
  const { code, body } = await outcome
  assert.ok(code < 300, JSON.stringify(body))
  return body
}
const conflicts = async (outcome: Promise<Outcome>): Promise<string[]> => {
  const { code, body } = await outcome
  assert.deepEqual([code, body.reason], [409, 'Conflict'], JSON.stringify(body))
  return body.details.causes.map((c: Json) => `${c.field}: ${c.message.replace(/ using.*/, '')}`)
}
const ownersOf = (object: Json, ...keys: string[]): string[] =>
  object.metadata.managedFields
    .filter(({ fieldsV1 }: Json) => keys.reduce((at: Json, key) => at?.[key], fieldsV1) !== undefined)
    .map(({ manager, operation }: Json) => `${manager}/${operation}`)

describe('two appliers of one list by key', () => {
  const name = 'keyed'

  it('each have their own items', async () => {
    await ok(apply(name, 'one', frame(name, {}, containers({ name: 'a', image: 'a:1' }))))
    await ok(apply(name, 'two', frame(name, {}, containers({ name: 'b', image: 'b:1' }))))
    assert.equal(await current(name), 'a=a:1 b=b:1')
    await ok(apply(name, 'one', frame(name, {}, containers({ name: 'a', image: 'a:2' }))))
    assert.equal(await current(name), 'a=a:2 b=b:1')
  })

  it('share an item field by field', async () => {
    await ok(apply(name, 'two', frame(name, {}, containers({ name: 'b', image: 'b:1' }, { name: 'a', env: [{ name: 'X', value: '1' }] }))))
    assert.equal(await current(name), 'a=a:2,X:1 b=b:1')
    assert.deepEqual(
      await conflicts(apply(name, 'two', frame(name, {}, containers({ name: 'b', image: 'b:1' }, { name: 'a', image: 'a:3' })))),
      ['.spec.template.spec.containers[name="a"].image: conflict with "one"'],
    )
    // What the first gives up stays while the second has any of it.
    await ok(apply(name, 'two', frame(name, {}, containers({ name: 'b', image: 'b:1' }, { name: 'a', image: 'a:2' }))))
    await ok(apply(name, 'one', frame(name, {}, {})))
    assert.equal(await current(name), 'a=a:2 b=b:1')
    await ok(apply(name, 'two', frame(name, {}, containers({ name: 'b', image: 'b:1' }))))
    assert.equal(await current(name), 'b=b:1')
  })

  it('take from each other by force, and only so', async () => {
    await ok(apply(name, 'one', frame(name, { replicas: 1 }, containers({ name: 'b', image: 'b:1' }))))
    assert.deepEqual(await conflicts(apply(name, 'one', frame(name, { replicas: 1 }, containers({ name: 'b', image: 'b:9' })))), [
      '.spec.template.spec.containers[name="b"].image: conflict with "two"',
    ])
    const forced = await ok(apply(name, 'one', frame(name, { replicas: 1 }, containers({ name: 'b', image: 'b:9' })), { force: true }))
    const image = ['f:spec', 'f:template', 'f:spec', 'f:containers', 'k:{"name":"b"}', 'f:image']
    assert.deepEqual(ownersOf(forced, ...image), ['one/Apply'])
    assert.deepEqual(await conflicts(apply(name, 'two', frame(name, {}, containers({ name: 'b', image: 'b:1' })))), [
      '.spec.template.spec.containers[name="b"].image: conflict with "one"',
    ])
    const shared = await ok(apply(name, 'two', frame(name, {}, containers({ name: 'b', image: 'b:9' }))))
    assert.deepEqual(ownersOf(shared, ...image).toSorted(), ['one/Apply', 'two/Apply'])
  })

  it('fight at the same time, and nobody loses anything', async () => {
    const rounds = 20
    const fight = async (who: string) => {
      for (let i = 0; i < rounds; i += 1) {
        const env = Array.from({ length: 3 }, (_, at) => ({ name: `${who}-${at}`, value: `${i}` }))
        await ok(apply('fought', who, frame('fought', {}, containers({ name: 'main', image: 'i', env }))))
      }
    }
    await Promise.all(['red', 'blue'].map(fight))
    const { spec } = await apps.readNamespacedDeployment({ namespace, name: 'fought' })
    const env = spec?.template.spec?.containers[0]?.env ?? []
    const wanted = ['red', 'blue'].flatMap((who) => [0, 1, 2].map((at) => `${who}-${at}=${rounds - 1}`))
    assert.deepEqual(
      env.map((e) => `${e.name}=${e.value}`).toSorted((a, b) => (a < b ? -1 : 1)),
      wanted.toSorted((a, b) => (a < b ? -1 : 1)),
    )
  })

  it('key ports by two fields, one of them a default', async () => {
    const ports = (...list: Json[]) => containers({ name: 'main', image: 'i', ports: list })
    await ok(apply('ports', 'one', frame('ports', {}, ports({ containerPort: 80 }, { containerPort: 53, protocol: 'UDP' }))))
    await ok(apply('ports', 'two', frame('ports', {}, ports({ containerPort: 53, protocol: 'TCP', name: 'dns' }))))
    const { spec } = await apps.readNamespacedDeployment({ namespace, name: 'ports' })
    assert.deepEqual(
      spec?.template.spec?.containers[0]?.ports?.map((p) => `${p.containerPort}/${p.protocol}${p.name ? ` ${p.name}` : ''}`),
      ['80/TCP', '53/UDP', '53/TCP dns'],
    )
    const twice = await apply('ports', 'one', frame('ports', {}, ports({ containerPort: 80 }, { containerPort: 80 })))
    assert.ok(twice.code >= 400 && twice.code < 500, JSON.stringify(twice.body))
  })
})

describe('apply, besides', () => {
  it('sets are shared by value, atomic lists have one owner, maps are by key', async () => {
    const object = (metadata: Json, spec: Json = {}) => ({
      ...frame('mixed', {}, containers({ name: 'm', image: 'i', ...spec })),
      metadata: { name: 'mixed', namespace, ...metadata },
    })
    await ok(apply('mixed', 'one', object({ finalizers: ['example.com/a'], labels: { a: '1' } }, { args: ['x', 'y'] })))
    const both = await ok(apply('mixed', 'two', object({ finalizers: ['example.com/b'], labels: { b: '1' } })))
    assert.deepEqual([both.metadata.finalizers, both.metadata.labels], [['example.com/a', 'example.com/b'], { a: '1', b: '1' }])
    assert.deepEqual(await conflicts(apply('mixed', 'two', object({}, { args: ['x'] }))), [
      '.spec.template.spec.containers[name="m"].args: conflict with "one"',
    ])
    await ok(apply('mixed', 'two', object({})))
    const left = await ok(apply('mixed', 'one', object({}, { args: ['x', 'y'] })))
    assert.deepEqual([left.metadata.finalizers, left.metadata.labels], [undefined, undefined])
  })

  it('a manager that updates owns what it changed; an applier meets it as anybody else', async () => {
    await ok(apply('updated', 'one', frame('updated', { replicas: 2 }, containers({ name: 'm', image: 'i' }))))
    await apps.patchNamespacedDeploymentScale(
      { namespace, name: 'updated', body: { spec: { replicas: 5 } }, fieldManager: 'scaler' },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    )
    const found = await conflicts(apply('updated', 'one', frame('updated', { replicas: 2 }, containers({ name: 'm', image: 'i' }))))
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', /^\.spec\.replicas: conflict with "scaler"/)
    // To leave it to the other is to apply without it.
    const left = await ok(apply('updated', 'one', frame('updated', {}, containers({ name: 'm', image: 'i' }))))
    assert.equal(left.spec.replicas, 5)
  })

  it('the status has appliers of its own', async () => {
    const status = (observedGeneration: number) => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'updated' },
      status: { collisionCount: observedGeneration },
    })
    const applied = await ok(apply('updated', 'teller', status(7), { status: true }))
    assert.equal(applied.status.collisionCount, 7)
    const entry = applied.metadata.managedFields.find((f: Json) => f.manager === 'teller')
    assert.deepEqual([entry.subresource, entry.operation], ['status', 'Apply'])
    assert.deepEqual(Object.keys(entry.fieldsV1), ['f:status'])
    const ignored = await ok(apply('updated', 'teller', { ...status(8), spec: { replicas: 9 } }, { status: true }))
    assert.equal(ignored.spec.replicas, 5)
  })

  it('needs a manager, a kind and a matching name, and makes nothing of a status', async () => {
    const header = { 'content-type': 'application/apply-patch+yaml' }
    assert.equal((await ask('PATCH', `${path}/x`, frame('x'), header)).code, 422)
    assert.equal((await ask('PATCH', `${path}/x?fieldManager=m`, { metadata: { name: 'x' } }, header)).code, 400)
    assert.equal((await apply('x', 'm', frame('y'))).code, 400)
    assert.equal((await apply('x', 'm', frame('x'), { status: true })).code, 404)
    assert.equal((await apply('x', 'm', { ...frame('x'), metadata: { name: 'x', managedFields: [{ manager: 'z' }] } })).code, 400)
  })
})
