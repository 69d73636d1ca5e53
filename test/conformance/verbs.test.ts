// Every kind, verb by verb, through @kubernetes/client-node's dynamic client.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { KubernetesObjectApi, PatchStrategy, Watch } from '@kubernetes/client-node'
import { atEnd } from '../cluster/ending.ts'
import { eventually } from '../cluster/eventually.ts'
import { type Sample, samples } from './kinds.ts'
import { type Json, testServer } from './server.ts'

const { config, ask } = await testServer()
const api = KubernetesObjectApi.makeApiClient(config)
const namespace = 'verbs'
await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } })
await eventually(() => api.read({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace, name: 'default' } }))

type Resource = { name: string; kind: string; namespaced: boolean; verbs: string[]; apiVersion: string }

/** Every resource of every version, as discovery lists them; subresources as `pods/status`. */
async function resources(): Promise<Resource[]> {
  const { groups } = (await ask('GET', '/apis')).body as { groups: { versions: { groupVersion: string }[] }[] }
  const versions = groups.flatMap((group) => group.versions.map((v) => v.groupVersion))
  const lists = await Promise.all(
    [['v1', '/api/v1'] as const, ...versions.map((v) => [v, `/apis/${v}`] as const)].map(async ([apiVersion, path]) =>
      ((await ask('GET', path)).body.resources as Omit<Resource, 'apiVersion'>[]).map((r) => ({ ...r, apiVersion })),
    ),
  )
  return lists.flat()
}

const served = await resources()
const all = await samples(namespace)
/** An update of their status keeps no labels; of all others it does. */
const withoutLabels = new Set([
  'CustomResourceDefinition',
  'Deployment',
  'FlowSchema',
  'PriorityLevelConfiguration',
  'ResourceClaim',
  'ValidatingAdmissionPolicy',
  'VolumeAttachment',
])
const watches: AbortController[] = []
atEnd(() => {
  for (const watch of watches) watch.abort()
})

it('every kind that can be created has a sample here', () => {
  const known = new Set(all.map((s) => `${s.apiVersion} ${s.kind}`))
  // The same objects in another version, requests that are no objects, and what only the server makes.
  const others = new Set(['autoscaling/v1 HorizontalPodAutoscaler', 'v1 Event', 'apiregistration.k8s.io/v1 APIService'])
  const missing = served
    .filter((r) => !r.name.includes('/') && r.verbs.includes('create') && r.verbs.includes('get'))
    .map((r) => `${r.apiVersion} ${r.kind}`)
    .filter((name) => !known.has(name) && !others.has(name))
  assert.deepEqual(missing, [])
})

for (const sample of all) {
  const resource = served.find((r) => r.apiVersion === sample.apiVersion && r.kind === sample.kind && !r.name.includes('/'))
  describe(`${sample.apiVersion} ${sample.kind}`, { skip: !resource && 'not served' }, () => verbs(sample, resource as Resource))
}

function verbs(sample: Sample, resource: Resource): void {
  const { apiVersion, kind } = sample
  const { name } = sample.metadata
  const place = resource.namespaced ? { namespace } : {}
  const header = { apiVersion, kind, metadata: { ...place, name } }
  const object = { ...sample, metadata: { ...sample.metadata, ...place } }
  const collection = `/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}/${resource.namespaced ? `namespaces/${namespace}/` : ''}${resource.name}`
  const events: { type: string; object: Json }[] = []
  const seen = (type: string, test: (o: Json) => boolean) =>
    eventually(async () =>
      assert.ok(
        events.some((e) => e.type === type && e.object.metadata.name === name && test(e.object)),
        `no ${type} of ${name} among ${events.length} events`,
      ),
    )
  let made: Json

  it('dry run: create answers, and stores nothing', async () => {
    const tried: Json = await api.create(object, undefined, 'All')
    assert.ok(tried.metadata.uid)
    await assert.rejects(api.read(header), { code: 404 })
  })

  it('watch, create, read, list', async () => {
    const { metadata } = await api.list(apiVersion, kind, resource.namespaced ? namespace : undefined)
    const watch = await new Watch(config).watch(
      collection,
      { resourceVersion: metadata?.resourceVersion },
      (type: string, o: Json) => events.push({ type, object: o }),
      () => {},
    )
    watches.push(watch)
    made = await api.create(object)
    assert.equal(made.kind, kind)
    assert.equal(made.apiVersion, apiVersion)
    assert.match(made.metadata.uid, /^[0-9a-f-]{36}$/)
    assert.match(made.metadata.resourceVersion, /^\d+$/)
    assert.ok(Date.now() - new Date(made.metadata.creationTimestamp).getTime() < 60_000)
    await assert.rejects(api.create(object), { code: 409 })
    const read = await api.read(header)
    assert.equal(read.metadata?.uid, made.metadata.uid)
    const list = await api.list(apiVersion, kind, resource.namespaced ? namespace : undefined)
    assert.ok(list.items.some((o) => o.metadata?.name === name))
    const selected = await api.list(
      apiVersion,
      kind,
      resource.namespaced ? namespace : undefined,
      undefined,
      undefined,
      undefined,
      `metadata.name=${name}`,
    )
    assert.deepEqual(
      selected.items.map((o) => o.metadata?.name),
      [name],
    )
    await seen('ADDED', (o) => o.metadata.uid === made.metadata.uid)
  })

  it('patch, three ways, and apply', async () => {
    const patch = (labels: Record<string, string>, strategy: PatchStrategy) =>
      api.patch({ ...header, metadata: { ...header.metadata, labels } }, undefined, undefined, 'conformance', undefined, strategy)
    assert.equal((await patch({ merge: 'a' }, PatchStrategy.MergePatch)).metadata?.labels?.merge, 'a')
    const strategic = await ask(
      'PATCH',
      `${collection}/${name}`,
      { metadata: { labels: { strategic: 'b' } } },
      { 'content-type': PatchStrategy.StrategicMergePatch },
    )
    // Custom resources have no strategic merge; built-in kinds all do.
    assert.equal(strategic.code, 200, strategic.text)
    const json = await ask('PATCH', `${collection}/${name}`, [{ op: 'add', path: '/metadata/labels/json', value: 'c' }], {
      'content-type': PatchStrategy.JsonPatch,
    })
    assert.equal(json.code, 200, json.text)
    const applied = await ask(
      'PATCH',
      `${collection}/${name}?fieldManager=applier`,
      { apiVersion, kind, metadata: { name, labels: { applied: 'd' } } },
      { 'content-type': 'application/apply-patch+yaml' },
    )
    assert.equal(applied.code, 200, applied.text)
    assert.deepEqual({ merge: 'a', strategic: 'b', json: 'c', applied: 'd', ...applied.body.metadata.labels }, applied.body.metadata.labels)
    assert.ok(applied.body.metadata.managedFields.some((f: Json) => f.manager === 'applier' && f.operation === 'Apply'))
    // Applying nothing gives up what was owned.
    const released = await ask(
      'PATCH',
      `${collection}/${name}?fieldManager=applier`,
      { apiVersion, kind, metadata: { name } },
      { 'content-type': 'application/apply-patch+yaml' },
    )
    assert.equal(released.body.metadata.labels.applied, undefined, released.text)
    await seen('MODIFIED', (o) => o.metadata.labels?.applied === 'd')
  })

  it('replace: with the version that was read, and no other', async () => {
    const stale = { ...made, metadata: { ...made.metadata, annotations: { replaced: 'no' } } }
    await assert.rejects(api.replace(stale), { code: 409 })
    await eventually(async () => {
      const fresh = (await api.read(header)) as Json
      const replaced = await api.replace({
        ...fresh,
        metadata: { ...fresh.metadata, annotations: { ...fresh.metadata.annotations, replaced: 'yes' } },
      })
      assert.equal(replaced.metadata.annotations.replaced, 'yes')
    })
  })

  it('status, where there is one: written through it alone', async () => {
    const parts = served.find((r) => r.apiVersion === apiVersion && r.name === `${resource.name}/status`)
    if (!parts) return
    const { body: before } = await ask('GET', `${collection}/${name}`)
    const answer = await ask(
      'PATCH',
      `${collection}/${name}/status`,
      { metadata: { labels: { 'by-status': 'x' } } },
      { 'content-type': PatchStrategy.MergePatch },
    )
    assert.equal(answer.code, 200, answer.text)
    const { body } = await ask('GET', `${collection}/${name}/status`)
    assert.equal(body.metadata.labels['by-status'], withoutLabels.has(resource.kind) ? undefined : 'x')
    assert.deepEqual(body.spec, before.spec)
  })

  it('metadata only, and a table', async () => {
    const partial = await ask('GET', collection, undefined, { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' })
    assert.equal(partial.body.kind, 'PartialObjectMetadataList')
    assert.ok(partial.body.items.some((o: Json) => o.metadata.name === name && o.spec === undefined))
    const table = await ask('GET', `${collection}/${name}`, undefined, { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' })
    assert.equal(table.body.kind, 'Table')
    assert.equal(table.body.rows[0].cells.length, table.body.columnDefinitions.length)
    assert.equal(table.body.rows[0].object.metadata.name, name)
  })

  it('delete, then of a collection', async () => {
    await assert.rejects(
      api.delete(header, undefined, undefined, undefined, undefined, undefined, {
        preconditions: { uid: '00000000-0000-0000-0000-000000000000' },
      }),
      { code: 409 },
    )
    await api.delete(header)
    const gone = () => eventually(() => assert.rejects(api.read(header), { code: 404 }))
    await gone()
    await seen('DELETED', (o) => o.metadata.uid === made.metadata.uid)
    if (!resource.verbs.includes('deletecollection')) return
    await api.create({ ...object, metadata: { ...object.metadata, labels: { doomed: 'yes' } } })
    const answer = await ask('DELETE', `${collection}?labelSelector=doomed%3Dyes`)
    assert.equal(answer.code, 200, answer.text)
    await gone()
  })
}
