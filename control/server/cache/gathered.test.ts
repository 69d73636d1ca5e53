import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpsClient } from '#api/client/https.ts'
import { Node, Pod } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { live } from '../testing/live.fake.ts'
import { pod, trial } from '../testing/trial.fake.ts'

const ready = (status: string, lastHeartbeatTime: string) => ({ type: 'Ready', status, lastHeartbeatTime, reason: 'KubeletReady' })

test('a node is told of others where they are and whether they are ready, not of each heartbeat', async () => {
  await using server = await live()
  const pair = await server.pki.authority.issue({ commonName: 'system:node:a', organizations: ['system:nodes'], usage: 'client' })
  const to = { server: `https://127.0.0.1:${server.server.port}`, userAgent: 'test/1', log: silent }
  const a = httpsClient({ ...to, credentials: { ca: server.pki.authority.cert, ...pair } })
  const client = server.server.client()
  for (const name of ['a', 'b'])
    await client.create(Node, { metadata: { name, labels: { zone: name }, annotations: { of: 'nobody else' } } })
  const tell = (status: object) => client.patch(Node, { name: 'b' }, 'merge', { status }, { subresource: 'status' })
  const beat = (second: number, state = 'True') => tell({ conditions: [ready(state, `2026-01-01T00:00:0${second}Z`)] })
  await tell({ addresses: [{ type: 'InternalIP', address: '192.0.2.9' }], images: [{ names: ['example.com/app:1'] }] })
  const first = await beat(0)
  const shown = (of: Node) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: 'b',
      uid: of.metadata.uid,
      creationTimestamp: of.metadata.creationTimestamp,
      labels: of.metadata.labels,
      resourceVersion: of.metadata.resourceVersion,
    },
    spec: { podCIDR: of.spec.podCIDR, podCIDRs: of.spec.podCIDRs },
    status: {
      addresses: [{ type: 'InternalIP', address: '192.0.2.9' }],
      conditions: of.status?.conditions?.map(({ type, status, lastTransitionTime }) => ({ type, status, lastTransitionTime })),
    },
  })
  const plain = (value: object) => JSON.parse(JSON.stringify(value))
  const { items, metadata } = await a.list(Node)
  assert.deepEqual(
    items.find(({ metadata: { name } }) => name === 'b'),
    plain(shown(first)),
  )
  const own = await a.list(Node, { fieldSelector: 'metadata.name=a' })
  assert.deepEqual([own.items.length, own.items[0]?.metadata.annotations], [1, { of: 'nobody else' }])
  assert.equal((await a.get(Node, { name: 'b' })).metadata.annotations?.of, 'nobody else')

  const stop = new AbortController()
  const told: string[] = []
  const everything: string[] = []
  const [lost, moved] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const follow = async (from: typeof client, into: string[]) => {
    for await (const { type, object } of from.watch(Node, { resourceVersion: metadata.resourceVersion ?? '', signal: stop.signal })) {
      into.push(`${type} ${object.metadata.resourceVersion} ${object.spec.unschedulable ?? ''}${object.metadata.labels?.zone}`)
      if (into === told) (told.length === 1 ? lost : moved).resolve()
      if (type === 'DELETED') break
    }
  }
  const watching = [follow(a, told), follow(client, everything)]
  const versions: (string | undefined)[] = []
  for (const second of [1, 2, 3]) await beat(second)
  versions.push((await beat(4, 'False')).metadata.resourceVersion)
  await lost.promise
  await beat(5, 'False')
  await client.patch(Node, { name: 'b' }, 'merge', { spec: { unschedulable: true } })
  versions.push((await client.patch(Node, { name: 'b' }, 'merge', { metadata: { labels: { zone: 'c' } } })).metadata.resourceVersion)
  await moved.promise
  await client.delete(Node, { name: 'b' })
  await Promise.all(watching)
  assert.deepEqual(told.slice(0, -1), [`MODIFIED ${versions[0]} b`, `MODIFIED ${versions[1]} c`])
  assert.match(told.at(-1) ?? '', /^DELETED \d+ c$/)
  assert.ok(everything.length >= 8, everything.join('\n'))
  a.close()
})

test('a node is shown no more of another’s pod where it watches that by its name', async () => {
  await using server = await live()
  const as = await server.pki.authority.issue({ commonName: 'system:node:a', organizations: ['system:nodes'], usage: 'client' })
  const secret = { ...pod('one'), metadata: { name: 'one', annotations: { of: 'nobody else' } } }
  const made = await server.ask('POST', '/api/v1/namespaces/default/pods', { body: secret })
  assert.equal(made.code, 201, made.text)
  const { secretly } = await seenBy(server.pki.admin)
  assert.equal(secretly, 'nobody else')
  const { name, secretly: hidden } = await seenBy(as)
  assert.deepEqual([name, hidden], ['one', undefined])

  async function seenBy(credentials: { cert: string; key: string }): Promise<{ name?: string; secretly?: string | undefined }> {
    const options = { userAgent: 'test/1', log: silent, credentials: { ca: server.pki.authority.cert, ...credentials } }
    const client = httpsClient({ server: `https://127.0.0.1:${server.server.port}`, ...options })
    try {
      for await (const { object } of client.watch(Pod, { namespace: 'default', fieldSelector: 'metadata.name=one' }))
        return { name: object.metadata.name, secretly: object.metadata.annotations?.of }
    } finally {
      client.close()
    }
    return {}
  }
})

test('many who can wait are told together of what has become of each object', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  const stop = new AbortController()
  const resource = server.core.resources.of(Node)
  const resourceVersion = (await server.client.list(Node)).metadata.resourceVersion ?? ''
  const told: string[] = []
  let batches = 0
  let [count, reached] = [50, Promise.withResolvers<void>()]
  const follow = async () => {
    const query = { resource, resourceVersion, signal: stop.signal, gathered: { same: () => false } }
    for await (const batch of await server.core.watch(query)) {
      batches += 1
      told.push(...batch.flatMap((sent) => (sent.type === 'BOOKMARK' ? [] : [`${sent.type} ${sent.item.object.metadata.name}`])))
      if (batches === count) reached.resolve()
    }
  }
  const watchers = Array.from({ length: 50 }, follow)
  await server.client.create(Node, { metadata: { name: 'a' } })
  // After a quiet time nobody waits.
  await reached.promise
  assert.deepEqual([batches, new Set(told)], [50, new Set(['ADDED a'])])
  told.length = 0
  for (const label of ['1', '2', '3']) await server.client.patch(Node, { name: 'a' }, 'merge', { metadata: { labels: { label } } })
  await server.client.create(Node, { metadata: { name: 'b' } })
  await server.client.patch(Node, { name: 'b' }, 'merge', { metadata: { labels: { label: '1' } } })
  await server.client.create(Node, { metadata: { name: 'c' } })
  await server.client.delete(Node, { name: 'c' })
  assert.equal(batches, 50)
  ;[count, reached] = [100, Promise.withResolvers<void>()]
  await server.clock.advance(1000)
  await reached.promise
  assert.equal(batches, 100)
  assert.deepEqual(told.slice(0, 3), ['MODIFIED a', 'ADDED b', 'DELETED c'])
  assert.equal(told.length, 150)
  stop.abort()
  await Promise.all(watchers)
})
