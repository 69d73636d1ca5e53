// What every Client has to do, whatever it is connected to. Run against the fake, the in-process client
// and HTTPS; `open` gives a client on an empty server, or at least one without the namespace `conformance`.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, it } from 'node:test'
import { isStatus, type Reason } from '../errors.ts'
import { CertificateSigningRequest, ConfigMap, Deployment, Namespace, Node, Pod, ServiceAccount } from '../kinds/index.ts'
import type { KubeObject } from '../kinds/kind.ts'
import { makeKey } from '../x509/key.ts'
import { makeRequest } from '../x509/request.ts'
import type { Client, Ref, WatchEvent } from './client.ts'

export type Subject = {
  client: Client
  /** What a new namespace needs before it takes pods. */
  prepare?: (namespace: string) => Promise<void>
  /** Puts a pod on a node where its container has said this. */
  says: (pod: Ref, text: string) => Promise<void> | void
  close?: () => Promise<void> | void
}

export function clientConformance(name: string, open: () => Promise<Subject> | Subject): void {
  const namespace = `conformance-${randomUUID().slice(0, 8)}`
  const on = (text: string, run: (client: Client, subject: Subject) => Promise<void>) =>
    it(text, async () => {
      const subject = await open()
      const { client, prepare, close } = subject
      try {
        if (!(await client.find(Namespace, { name: namespace }))) {
          await client.create(Namespace, { metadata: { name: namespace } })
          await prepare?.(namespace)
        }
        await run(client, subject)
      } finally {
        await close?.()
      }
    })
  const map = (name: string, labels: Record<string, string> = {}, data: Record<string, string> = {}) => ({
    metadata: { name, namespace, labels },
    data,
  })
  const fails = (call: Promise<unknown>, reason: Reason) =>
    assert.rejects(call, (error) => isStatus(error, reason) || assert.fail(String(error)))

  describe(`client: ${name}`, () => {
    on('creates, and the answer is what is read and listed', async (client) => {
      const made = await client.create(ConfigMap, map('made', {}, { a: '1' }))
      assert.equal(made.kind, 'ConfigMap')
      assert.equal(made.apiVersion, 'v1')
      assert.ok(made.metadata.uid && made.metadata.resourceVersion && made.metadata.creationTimestamp)
      assert.deepEqual(await client.get(ConfigMap, made.metadata), made)
      const { items } = await client.list(ConfigMap, { namespace, fieldSelector: 'metadata.name=made' })
      assert.deepEqual(items, [made])
    })

    on('generates a name, and another for the next', async (client) => {
      const make = () => client.create(ConfigMap, { metadata: { generateName: 'some-', namespace } })
      const [one, two] = [await make(), await make()]
      assert.match(one.metadata.name, /^some-.+/)
      assert.notEqual(one.metadata.name, two.metadata.name)
    })

    on('says why not, by reason', async (client) => {
      await client.create(ConfigMap, map('taken'))
      await fails(client.create(ConfigMap, map('taken')), 'AlreadyExists')
      await fails(client.get(ConfigMap, { namespace, name: 'absent' }), 'NotFound')
      await fails(client.delete(ConfigMap, { namespace, name: 'absent' }), 'NotFound')
      assert.equal(await client.find(ConfigMap, { namespace, name: 'absent' }), undefined)
      await fails(client.list({ group: 'nowhere.example', version: 'v1', kind: 'Thing', plural: 'things', namespaced: true }), 'NotFound')
    })

    on('replaces only the version that was read', async (client) => {
      const first = await client.create(ConfigMap, map('raced', {}, { a: '1' }))
      const second = await client.update(ConfigMap, { ...first, data: { a: '2' } })
      assert.notEqual(second.metadata.resourceVersion, first.metadata.resourceVersion)
      await fails(client.update(ConfigMap, { ...first, data: { a: '3' } }), 'Conflict')
      assert.deepEqual((await client.get(ConfigMap, first.metadata)).data, { a: '2' })
    })

    on('patches: null removes; a stale version in the patch is refused', async (client) => {
      const made = await client.create(ConfigMap, map('patched', { a: '1', b: '2' }))
      const next = await client.patch(ConfigMap, made.metadata, 'merge', { metadata: { labels: { a: null, c: '3' } } })
      assert.deepEqual(next.metadata.labels, { b: '2', c: '3' })
      const { resourceVersion } = made.metadata
      await fails(client.patch(ConfigMap, made.metadata, 'merge', { metadata: { resourceVersion }, data: { x: 'y' } }), 'Conflict')
      const again = await client.patch(ConfigMap, made.metadata, 'json', [{ op: 'add', path: '/data', value: { x: 'y' } }])
      assert.deepEqual(again.data, { x: 'y' })
    })

    on('keeps status and spec apart, and counts generations of the spec', async (client) => {
      const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
      const spec = { replicas: 1, selector: { matchLabels: { app: 'x' } }, template, strategy: {} }
      const made = await client.create(Deployment, { metadata: { name: 'apart', namespace }, spec })
      assert.equal(made.metadata.generation, 1)
      const reported = await client.update(
        Deployment,
        { ...made, spec: { ...made.spec, replicas: 5 }, status: { replicas: 3 } },
        { subresource: 'status' },
      )
      assert.equal(reported.spec.replicas, 1)
      assert.equal(reported.status.replicas, 3)
      assert.equal(reported.metadata.generation, 1)
      const scaled = await client.update(Deployment, { ...reported, spec: { ...reported.spec, replicas: 5 }, status: {} })
      assert.equal(scaled.spec.replicas, 5)
      assert.equal(scaled.status.replicas, 3)
      assert.equal(scaled.metadata.generation, 2)
    })

    on('selects by labels and fields, and pages over one version', async (client) => {
      for (const i of [1, 2, 3, 4, 5]) await client.create(ConfigMap, map(`page-${i}`, { set: 'pages', odd: String(i % 2) }))
      const names = (items: KubeObject[]) => items.map((item) => item.metadata.name)
      const odd = await client.list(ConfigMap, { namespace, labelSelector: 'set=pages,odd notin (0)' })
      assert.deepEqual(names(odd.items).sort(), ['page-1', 'page-3', 'page-5'])
      const seen: string[] = []
      let token: string | undefined
      do {
        const page = await client.list(ConfigMap, { namespace, labelSelector: 'set=pages', limit: 2, ...(token && { continue: token }) })
        assert.ok(page.items.length <= 2)
        seen.push(...names(page.items))
        token = page.metadata.continue
      } while (token)
      assert.deepEqual(seen, ['page-1', 'page-2', 'page-3', 'page-4', 'page-5'])
    })

    on('watches from a listed version: everything after it, in order, and nothing before', async (client) => {
      await client.create(ConfigMap, map('before', { watched: 'a' }))
      const { metadata } = await client.list(ConfigMap, { namespace, labelSelector: 'watched=a' })
      const made = await client.create(ConfigMap, map('after', { watched: 'a' }))
      await client.create(ConfigMap, map('aside', { watched: 'b' }))
      const changed = await client.update(ConfigMap, { ...made, data: { x: '1' } })
      // Leaving the selection is a deletion to who watches it.
      await client.update(ConfigMap, { ...changed, metadata: { ...changed.metadata, labels: { watched: 'b' } } })
      await client.delete(ConfigMap, { namespace, name: 'before' })
      const events = await take(
        client.watch(ConfigMap, { namespace, labelSelector: 'watched=a', resourceVersion: metadata.resourceVersion }),
        4,
      )
      assert.deepEqual(
        events.map(({ type, object }) => `${type} ${object.metadata.name}`),
        ['ADDED after', 'MODIFIED after', 'DELETED after', 'DELETED before'],
      )
      const versions = events.map(({ object }) => Number(object.metadata.resourceVersion))
      assert.deepEqual(
        versions,
        versions.toSorted((a, b) => a - b),
      )
    })

    on('delivers an event as it happens, and ends quietly on abort', async (client) => {
      const stop = new AbortController()
      const { metadata } = await client.list(ConfigMap, { namespace })
      const heard: string[] = []
      const ended = (async () => {
        for await (const { object } of client.watch(ConfigMap, {
          namespace,
          resourceVersion: metadata.resourceVersion,
          signal: stop.signal,
        })) {
          heard.push(object.metadata.name)
          stop.abort()
        }
      })()
      await client.create(ConfigMap, map('live'))
      await ended
      assert.deepEqual(heard, ['live'])
    })

    on('lists and watches metadata alone', async (client) => {
      const made = await client.create(ConfigMap, map('bare', { app: 'bare' }, { a: '1' }))
      const bare = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: made.metadata }
      const { items, metadata } = await client.list(ConfigMap, { namespace, labelSelector: 'app=bare', metadataOnly: true })
      assert.deepEqual(items, [bare])
      await client.delete(ConfigMap, made.metadata)
      const from = { namespace, resourceVersion: metadata.resourceVersion, metadataOnly: true }
      const [gone] = await take(client.watch(ConfigMap, from), 1)
      assert.deepEqual([gone?.type, gone?.object.kind, gone?.object.metadata.uid], ['DELETED', bare.kind, made.metadata.uid])
      assert.ok(!('data' in (gone?.object ?? { data: {} })))
    })

    on('rejects with the reason of an abort', async (client) => {
      const reason = new Error('enough')
      await assert.rejects(client.get(ConfigMap, { namespace, name: 'any' }, { signal: AbortSignal.abort(reason) }), reason)
    })

    on('deletes only who was meant', async (client) => {
      const made = await client.create(ConfigMap, map('meant'))
      await fails(client.delete(ConfigMap, made.metadata, { preconditions: { uid: 'another' } }), 'Conflict')
      await client.delete(ConfigMap, made.metadata, { preconditions: { uid: made.metadata.uid } })
      assert.equal(await client.find(ConfigMap, made.metadata), undefined)
    })

    on('keeps what has a finalizer until the last is gone', async (client) => {
      const made = await client.create(ConfigMap, { metadata: { name: 'held', namespace, finalizers: ['example.com/hold'] } })
      await client.delete(ConfigMap, made.metadata)
      const held = await client.get(ConfigMap, made.metadata)
      assert.ok(held.metadata.deletionTimestamp)
      await client.update(ConfigMap, { ...held, metadata: { ...held.metadata, finalizers: [] } })
      assert.equal(await client.find(ConfigMap, made.metadata), undefined)
    })

    on('binds a pod once', async (client) => {
      const nodeName = `node-${namespace}`
      if (!(await client.find(Node, { name: nodeName }))) await client.create(Node, { metadata: { name: nodeName } })
      const pod = await client.create(Pod, { metadata: { name: 'bound', namespace }, spec: { containers: [{ name: 'c', image: 'i' }] } })
      const binding = { metadata: { name: 'bound', namespace }, target: { kind: 'Node', name: nodeName } }
      await client.create(Pod, binding, { subresource: 'binding' })
      const bound = await client.get(Pod, pod.metadata)
      assert.equal(bound.spec.nodeName, nodeName)
      assert.equal(bound.status.conditions?.find((c) => c.type === 'PodScheduled')?.status, 'True')
      await fails(client.create(Pod, binding, { subresource: 'binding' }), 'Conflict')
      await client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 })
      await client.delete(Node, { name: nodeName })
    })

    on('reads and writes the scale of an object as a Scale', async (client) => {
      const template = { metadata: { labels: { app: 'y' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
      const spec = { replicas: 2, selector: { matchLabels: { app: 'y' } }, template, strategy: {} }
      const made = await client.create(Deployment, { metadata: { name: 'scaled', namespace }, spec })
      const scale = await client.get(Deployment, made.metadata, { subresource: 'scale' })
      assert.deepEqual([scale.kind, scale.apiVersion, scale.metadata.uid], ['Scale', 'autoscaling/v1', made.metadata.uid])
      assert.deepEqual([scale.spec.replicas, scale.status.selector], [2, 'app=y'])
      const grown = await client.update(Deployment, { ...scale, spec: { replicas: 4 } }, { subresource: 'scale' })
      assert.deepEqual([grown.kind, grown.spec.replicas], ['Scale', 4])
      await fails(client.update(Deployment, { ...scale, spec: { replicas: 5 } }, { subresource: 'scale' }), 'Conflict')
      const shrunk = await client.patch(Deployment, made.metadata, 'merge', { spec: { replicas: 1 } }, { subresource: 'scale' })
      assert.equal(shrunk.spec.replicas, 1)
      const after = await client.get(Deployment, made.metadata)
      assert.deepEqual([after.spec.replicas, after.metadata.resourceVersion], [1, shrunk.metadata.resourceVersion])
      await fails(client.get(Deployment, { namespace, name: 'absent' }, { subresource: 'scale' }), 'NotFound')
    })

    on('patches a status, and reads it back', async (client) => {
      const pod = await client.create(Pod, { metadata: { name: 'told', namespace }, spec: { containers: [{ name: 'c', image: 'i' }] } })
      const patch = { metadata: { labels: { no: 'way' } }, spec: { nodeName: 'no' }, status: { phase: 'Pending', message: 'told' } }
      const told = await client.patch(Pod, pod.metadata, 'merge', patch, { subresource: 'status' })
      assert.deepEqual([told.status.message, told.spec.nodeName], ['told', undefined])
      assert.deepEqual(await client.get(Pod, pod.metadata, { subresource: 'status' }), told)
    })

    on('decides on a request for a certificate by its approval', async (client) => {
      const request = Buffer.from(makeRequest('somebody', await makeKey())).toString('base64')
      const spec = { request, signerName: 'example.com/any', usages: ['client auth' as const] }
      const made = await client.create(CertificateSigningRequest, { metadata: { name: `approved-${namespace}` }, spec })
      const conditions = [{ type: 'Approved' as const, status: 'True' as const, reason: 'Known', message: 'asked for' }]
      const approved = await client.update(CertificateSigningRequest, { ...made, status: { conditions } }, { subresource: 'approval' })
      assert.deepEqual(
        approved.status.conditions?.map(({ type }) => type),
        ['Approved'],
      )
      await client.delete(CertificateSigningRequest, made.metadata)
    })

    on('evicts a pod', async (client) => {
      const pod = await client.create(Pod, { metadata: { name: 'evicted', namespace }, spec: { containers: [{ name: 'c', image: 'i' }] } })
      const answer = await client.create(Pod, { metadata: { name: 'evicted', namespace } }, { subresource: 'eviction' })
      assert.deepEqual([answer.kind, answer.status], ['Status', 'Success'])
      assert.equal(await client.find(Pod, pod.metadata), undefined)
      await fails(client.create(Pod, { metadata: { name: 'evicted', namespace } }, { subresource: 'eviction' }), 'NotFound')
    })

    on('asks for a token of an account', async (client) => {
      if (!(await client.find(ServiceAccount, { namespace, name: 'asker' })))
        await client.create(ServiceAccount, { metadata: { name: 'asker', namespace } })
      const body = { metadata: { name: 'asker', namespace }, spec: { audiences: ['vault'], expirationSeconds: 1200 } }
      const answer = await client.create(ServiceAccount, body, { subresource: 'token' })
      assert.equal(answer.kind, 'TokenRequest')
      assert.deepEqual([answer.spec.audiences, answer.spec.expirationSeconds], [['vault'], 1200])
      assert.ok(answer.status.token)
    })

    on('knows no subresource that the kind has not', async (client) => {
      const made = await client.create(ConfigMap, map('plain'))
      for (const subresource of ['status', 'scale', 'approval', 'resize'] as const) {
        await fails(client.get(ConfigMap, made.metadata, { subresource }), 'NotFound')
        await fails(client.update(ConfigMap, made, { subresource }), 'NotFound')
        await fails(client.patch(ConfigMap, made.metadata, 'merge', {}, { subresource }), 'NotFound')
      }
      for (const subresource of ['eviction', 'binding', 'token'] as const)
        await fails(client.create(ConfigMap, { metadata: { name: 'plain', namespace } }, { subresource }), 'NotFound')
      assert.deepEqual(await client.get(ConfigMap, made.metadata), made)
    })

    on('reads the log of a container', async (client, { says }) => {
      const pod = await client.create(Pod, { metadata: { name: 'talks', namespace }, spec: { containers: [{ name: 'c', image: 'i' }] } })
      await fails(read(client.log(pod.metadata)), 'BadRequest')
      await says(pod.metadata, 'one\ntwo\n')
      assert.equal(await read(client.log(pod.metadata, { container: 'c', tailLines: 2 })), 'one\ntwo\n')
      assert.equal(await read(client.log(pod.metadata, { signal: AbortSignal.abort() })), '')
      await fails(read(client.log({ namespace, name: 'absent' })), 'NotFound')
      await client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 })
    })

    on('knows what is served', async (client) => {
      const kinds = await client.kinds()
      const found = kinds.find(({ group, kind }) => group === 'apps' && kind === 'Deployment')
      assert.deepEqual([found?.version, found?.plural, found?.namespaced], ['v1', 'deployments', true])
      assert.ok(found?.verbs.includes('watch'))
      assert.equal(kinds.find(({ group, kind }) => group === '' && kind === 'Namespace')?.namespaced, false)
      assert.ok(kinds.every(({ plural }) => !plural.includes('/')))
    })
  })
}

async function take<T>(events: AsyncIterable<WatchEvent<T>>, count: number): Promise<WatchEvent<T>[]> {
  const taken: WatchEvent<T>[] = []
  for await (const event of events) {
    if (event.type !== 'BOOKMARK') taken.push(event)
    if (taken.length === count) break
  }
  return taken
}

async function read(log: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of log) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}
