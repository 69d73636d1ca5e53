// A node that was broken into: what its certificate is worth.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Lease, Node, PersistentVolume, Pod, Secret, ServiceAccount } from '#api/kinds/index.ts'
import { type Live, live } from '#control/server/testing/live.fake.ts'

let server: Live
let node: { cert: string; key: string }
const pods = '/api/v1/namespaces/default/pods'
const secret = 'do-not-tell'

before(async () => {
  server = await live()
  node = await server.pki.authority.issue({ commonName: 'system:node:mine', organizations: ['system:nodes'], usage: 'client' })
  const client = server.server.client()
  for (const name of ['mine', 'theirs']) {
    await client.create(Node, { metadata: { name } })
    await client.create(Secret, { metadata: { namespace: 'default', name: `of-${name}` }, stringData: { word: secret } })
    await client.create(ServiceAccount, { metadata: { namespace: 'default', name: `of-${name}` } })
    await client.create(Pod, {
      metadata: { namespace: 'default', name, labels: { app: name }, annotations: { note: secret } },
      spec: {
        nodeName: name,
        serviceAccountName: `of-${name}`,
        volumes: [{ name: 'data', secret: { secretName: `of-${name}` } }],
        containers: [
          {
            name: 'c',
            image: secret,
            command: [secret],
            env: [{ name: 'WORD', value: secret }],
            ports: [{ name: 'web', containerPort: 8080 }],
            resources: {},
          },
        ],
      },
    })
  }
  await client.create(PersistentVolume, {
    metadata: { name: 'other' },
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/srv' } },
  })
  await client.create(Lease, { metadata: { namespace: 'kube-node-lease', name: 'theirs' }, spec: { holderIdentity: 'theirs' } })
})
after(() => server[Symbol.asyncDispose]())

const ask = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  server.ask(method, path, { as: node, ...(body !== undefined && { body }), ...(headers && { headers }) })
const merge = { 'content-type': 'application/merge-patch+json' }

async function refused(words: RegExp, ...asked: Parameters<typeof ask>) {
  const { code, body } = await ask(...asked)
  assert.deepEqual([code, body.reason], [403, 'Forbidden'], `${asked[0]} ${asked[1]}: ${JSON.stringify(body)}`)
  assert.match(body.message, words)
}

test('of the pods of other nodes it sees what policies need, in every form and way', async () => {
  const forms = [
    'application/json',
    'application/yaml',
    'application/json;as=Table;v=v1;g=meta.k8s.io',
    'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  ]
  const wrong = [
    '',
    'fieldSelector=spec.nodeName=theirs',
    'fieldSelector=spec.nodeName!=mine',
    'labelSelector=app=theirs',
    'fieldSelector=metadata.name=theirs',
    'includeObject=Object',
  ]
  const looks = ['/api/v1/pods', pods].flatMap((path) =>
    wrong.flatMap((query) => forms.map((accept) => ({ path: `${path}?${query}`, accept }))),
  )
  await Promise.all(
    looks.map(async ({ path, accept }) => {
      const seen = [
        await ask('GET', path, undefined, { accept }),
        await ask('GET', `${path}&watch=true&timeoutSeconds=1`, undefined, { accept: accept.replace('yaml', 'json') }),
      ]
      for (const { code, text } of seen) assert.deepEqual([code, text.includes(secret)], [200, false], `${path} as ${accept}: ${text}`)
    }),
  )
  const { body } = await ask('GET', `${pods}?labelSelector=app=theirs`)
  const [{ metadata, spec }] = body.items
  assert.deepEqual([metadata.labels, spec.nodeName, spec.containers[0].ports[0].name], [{ app: 'theirs' }, 'theirs', 'web'])
  await refused(/cannot get resource "pods"/, 'GET', `${pods}/theirs`)
  assert.equal((await ask('GET', `${pods}/mine`)).body.spec.containers[0].image, secret, 'its own it sees whole')
  assert.match((await ask('GET', '/api/v1/pods?fieldSelector=spec.nodeName=mine')).text, new RegExp(secret))
})

test('what no pod of it uses it does not read', async () => {
  assert.equal((await ask('GET', '/api/v1/namespaces/default/secrets/of-mine')).code, 200)
  for (const path of [
    '/api/v1/namespaces/default/secrets/of-theirs',
    '/api/v1/namespaces/default/secrets',
    '/api/v1/persistentvolumes',
    '/api/v1/persistentvolumes/other',
    '/api/v1/persistentvolumeclaims',
    '/apis/storage.k8s.io/v1/volumeattachments',
    '/apis/example.com/v1/namespaces/default/secrets/of-mine',
    '/apis/example.com/v1/services',
  ])
    await refused(/cannot (get|list) resource/, 'GET', path)
})

test('tokens are those of its pods, for as long and for whom they ask', async () => {
  const account = (name: string) => `/api/v1/namespaces/default/serviceaccounts/of-${name}/token`
  const client = server.server.client()
  const uid = async (name: string) => (await client.get(Pod, { namespace: 'default', name })).metadata.uid
  const [mine, theirs] = [await uid('mine'), await uid('theirs')]
  const bound = (name: string, of: string) => ({ boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid: of } })
  await refused(/not bound to a pod/, 'POST', account('mine'), { spec: {} })
  await refused(/not bound to a pod/, 'POST', account('mine'), { spec: { boundObjectRef: { kind: 'Secret', name: 'of-mine', uid: 'x' } } })
  await refused(/without a uid/, 'POST', account('mine'), { spec: { boundObjectRef: { kind: 'Pod', name: 'mine' } } })
  await refused(/cannot create resource "serviceaccounts\/token"/, 'POST', account('theirs'), { spec: bound('theirs', theirs) })
  await refused(/scheduled on a different node/, 'POST', account('mine'), { spec: bound('theirs', theirs) })
  await refused(/audience "vault" not found in pod spec volume/, 'POST', account('mine'), {
    spec: { audiences: ['vault'], ...bound('mine', mine) },
  })
  const given = await ask('POST', account('mine'), { spec: { expirationSeconds: 2 ** 31, ...bound('mine', mine) } })
  assert.deepEqual([given.code, given.body.spec.expirationSeconds], [201, 86_400])
  const rehearsed = await ask('POST', `${account('mine')}?dryRun=All`, { spec: bound('mine', mine) })
  assert.deepEqual([rehearsed.code, rehearsed.body.status.token], [201, ''])
})

test('it changes nothing of others, and of itself nothing that is for administrators', async () => {
  const path = '/api/v1/nodes/mine'
  for (const label of [
    'node-restriction.kubernetes.io/secure',
    'deep.node-restriction.kubernetes.io/secure',
    'node-role.kubernetes.io/control-plane',
    'kubernetes.io/anything',
    'example.k8s.io/anything',
  ]) {
    await refused(/is not allowed to modify labels/, 'PATCH', path, { metadata: { labels: { [label]: 'x' } } }, merge)
    await refused(/is not allowed to modify labels/, 'PATCH', `${path}/status`, { metadata: { labels: { [label]: 'x' } } }, merge).catch(
      async (error: unknown) => {
        // Where a status takes no labels, none may be there after.
        const { body } = await ask('GET', path)
        if (body.metadata.labels?.[label] !== undefined) throw error
      },
    )
  }
  const { body } = await ask('GET', path)
  assert.deepEqual(Object.keys(body.metadata.labels ?? {}), [])
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }
  await refused(/ownerReferences/, 'PATCH', path, { metadata: { ownerReferences: [owner] } }, merge)
  // A node that chose its range of pods would get other nodes' traffic, or all of it.
  for (const spec of [{ podCIDR: '0.0.0.0/1' }, { podCIDR: '10.42.0.0/24', podCIDRs: ['10.42.0.0/24'] }, { podCIDRs: ['::/1'] }])
    await refused(/podCIDRs/, 'PATCH', path, { spec }, merge)
  await refused(/taints/, 'PATCH', path, { spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } }, merge)
  await refused(/cannot patch resource "nodes"/, 'PATCH', '/api/v1/nodes/theirs', { metadata: { labels: { a: 'b' } } }, merge)
  const third = await server.pki.authority.issue({ commonName: 'system:node:third', organizations: ['system:nodes'], usage: 'client' })
  const { code, body: denied } = await server.ask('POST', '/api/v1/nodes', {
    as: third,
    body: { metadata: { name: 'third' }, spec: { podCIDR: '10.42.0.0/16' } },
  })
  assert.equal(code, 403, 'nor when it registers')
  assert.match(denied.message, /podCIDRs/)
  await refused(/is not allowed to modify node "another"/, 'POST', '/api/v1/nodes', { metadata: { name: 'another' } })
  await refused(/cannot patch resource "pods\/status"/, 'PATCH', `${pods}/theirs/status`, { status: { phase: 'Failed' } }, merge)
  await refused(/cannot create resource "pods"/, 'POST', pods, {
    metadata: { name: 'x' },
    spec: { containers: [{ name: 'c', image: 'c' }] },
  })
  assert.equal((await ask('PATCH', path, { metadata: { labels: { rack: 'seven', 'topology.kubernetes.io/zone': 'a' } } }, merge)).code, 200)
})

test('leases of other nodes are theirs, and nobody is named as a holder but itself', async () => {
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
  const lease = (name: string, holderIdentity: string) => ({ metadata: { name }, spec: { holderIdentity } })
  await refused(/same name as the requesting node/, 'POST', leases, lease('third', 'third'))
  await refused(/only hold a lease itself/, 'POST', leases, lease('load-balancer-192.0.2.9', 'theirs'))
  await refused(/cannot patch resource "leases"/, 'PATCH', `${leases}/theirs`, { spec: { holderIdentity: 'mine' } }, merge)
  await refused(/cannot create resource "leases"/, 'POST', leases.replace('kube-node-lease', 'kube-system'), lease('mine', 'mine'))
  assert.equal((await ask('POST', leases, lease('mine', 'mine'))).code, 201)
  assert.equal((await ask('POST', leases, lease('load-balancer-192.0.2.9', 'mine'))).code, 201)
})
