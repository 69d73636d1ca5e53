import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, it } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { isStatus } from '#api/errors.ts'
import { Pod, ServiceAccount } from '#api/kinds/index.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { apiAudience, authenticator } from './authenticator.ts'
import { type Attempt, allowedBy, healthAuthorizer, mastersAuthorizer, refusal } from './authorizer.ts'
import { nodeAuthorizer } from './node-authorizer.ts'
import { openTokens } from './tokens.ts'
import { anonymous, type User } from './user.ts'

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const key = newKey()
const account = { name: 'robot', uid: 'u1' }
const request = { namespace: 'test', account, audiences: [apiAudience], seconds: 600 }
const unauthorized = (error: unknown) => isStatus(error, 'Unauthorized')

describe('service account tokens', () => {
  it('are ours, for their time', () => {
    const clock = fakeClock()
    const tokens = openTokens({ key, now: () => clock.now() })
    const { token, claims } = tokens.issue(request)
    assert.equal(claims.sub, 'system:serviceaccount:test:robot')
    assert.deepEqual(tokens.verify(token), claims)
    clock.jump(601_000)
    assert.equal(tokens.verify(token), undefined)
  })

  it('are nobody else’s', () => {
    const clock = fakeClock()
    const tokens = openTokens({ key, now: () => clock.now() })
    const { token } = tokens.issue(request)
    const [head = '', body = '', signature = ''] = token.split('.')
    const forged = Buffer.from(
      JSON.stringify({ ...JSON.parse(Buffer.from(body, 'base64url').toString()), sub: 'system:serviceaccount:test:other' }),
    )
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    for (const bad of [
      `${head}.${forged.toString('base64url')}.${signature}`,
      `${none}.${body}.`,
      `${none}.${body}.${signature}`,
      `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
      `${head}.${body}`,
      `${token}x.y`,
      'a.b.c',
      '',
      openTokens({ key: newKey(), now: () => clock.now() }).issue(request).token,
    ]) {
      assert.equal(tokens.verify(bad), undefined, bad)
    }
  })
})

describe('authentication', () => {
  const clock = fakeClock()
  const tokens = openTokens({ key, now: () => clock.now() })
  const objects = new Map<string, KubeObject>()
  const keep = (kind: string, name: string, uid: string) =>
    objects.set(`${kind}/${name}`, { apiVersion: 'v1', kind, metadata: { name, uid, resourceVersion: '1' } })
  keep('ServiceAccount', 'robot', 'u1')
  keep('Pod', 'web', 'p1')
  const auth = authenticator({
    tokens,
    staticTokens: [{ token: 'letmein', user: { name: 'static', groups: [] } }],
    revoked: { has: ({ serial }) => serial === '0A' },
    now: () => clock.now(),
    peek: (kind, ref) => objects.get(`${kind.kind}/${ref.name}`),
  })
  const bearer = (token: string) => auth.authenticate({ authorization: `Bearer ${token}` })

  it('knows certificates, tokens and nobody', () => {
    const byCertificate = auth.authenticate({ certificate: { commonName: 'jane', organizations: ['dev'] } })
    assert.deepEqual([byCertificate.name, byCertificate.groups], ['jane', ['dev', 'system:authenticated']])
    assert.equal(bearer('letmein').name, 'static')
    const robot = bearer(tokens.issue(request).token)
    assert.deepEqual(robot.groups, ['system:serviceaccounts', 'system:serviceaccounts:test', 'system:authenticated'])
    assert.equal(auth.authenticate({}), anonymous)
  })

  it('refuses bad credentials instead of taking them for none', () => {
    assert.throws(() => bearer('nonsense'), unauthorized)
    assert.throws(() => auth.authenticate({ badCertificate: true }), unauthorized)
    assert.throws(() => auth.authenticate({ certificate: { commonName: 'jane', organizations: [], serial: '0A' } }), unauthorized)
    const ends = (end: number) => auth.authenticate({ certificate: { commonName: 'jane', organizations: [], end } })
    assert.equal(ends(clock.now() + 1).name, 'jane')
    assert.throws(() => ends(clock.now()), unauthorized)
    assert.throws(() => auth.authenticate({ authorization: 'Basic YTpi' }), unauthorized)
    assert.throws(() => bearer(tokens.issue({ ...request, audiences: ['elsewhere'] }).token), unauthorized)
  })

  it('ends a token with its account and with its pod', () => {
    const bound = tokens.issue({ ...request, pod: { name: 'web', uid: 'p1' } }).token
    assert.equal(bearer(bound).extra?.['authentication.kubernetes.io/pod-name']?.[0], 'web')
    keep('Pod', 'web', 'p2')
    assert.throws(() => bearer(bound), unauthorized, 'a pod of the same name is another')
    const plain = tokens.issue(request).token
    keep('ServiceAccount', 'robot', 'u2')
    assert.throws(() => bearer(plain), unauthorized)
    assert.ok(Pod.kind && ServiceAccount.kind)
  })
})

const on = (user: User, verb: string, path: string, name?: string): Attempt => {
  const [resource = '', subresource = ''] = path.split('/')
  const [plural = '', ...group] = resource.split('.')
  return { user, verb, resource: plural, subresource, group: group.join('.'), version: 'v1', namespace: 'test', name }
}

describe('authorization', () => {
  const jane: User = { name: 'jane', groups: ['system:authenticated'] }
  const chain = [mastersAuthorizer, healthAuthorizer]
  const may = async (attempt: Attempt) => (await allowedBy(chain, attempt)) !== undefined

  it('lets the masters do everything, and everybody ask how the server is', async () => {
    assert.ok(await may(on({ name: 'root', groups: ['system:masters'] }, 'delete', 'nodes', 'n')))
    assert.equal(await may(on(jane, 'list', 'pods')), false)
    assert.equal(await may({ user: jane, verb: 'get', path: '/metrics' }), false)
    assert.equal(await may({ user: anonymous, verb: 'get', path: '/version' }), false)
    assert.ok(await may({ user: anonymous, verb: 'get', path: '/readyz' }))
    assert.ok(await may({ user: anonymous, verb: 'get', path: '/livez/ping' }))
  })

  it('says what was refused as Kubernetes does', () => {
    assert.equal(
      refusal({ ...on(jane, 'get', 'pods/log', 'web'), group: '' } as Attempt).message,
      'pods "web" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "test"',
    )
    assert.equal(refusal({ user: jane, verb: 'get', path: '/metrics' }).message, 'forbidden: User "jane" cannot get path "/metrics"')
  })

  it('holds a node to itself and to what its pods use', async () => {
    const node: User = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }
    const authorizer = nodeAuthorizer({
      nodeOfPod: (_namespace, name) => (name === 'mine' ? 'n1' : 'n2'),
      nodeUses: (_node, resource, _namespace, name) => name === `used-${resource}`,
      nodeKeeps: (_node, name) => name === 'kept',
    })
    const verdict = async (verb: string, path: string, name?: string) => (await authorizer(on(node, verb, path, name))) !== undefined
    const allowed: [string, string, string?][] = [
      ['create', 'nodes'],
      ['patch', 'nodes/status', 'n1'],
      ['watch', 'pods'],
      ['patch', 'pods/status', 'mine'],
      ['delete', 'pods', 'mine'],
      ['get', 'pods', 'mine'],
      ['get', 'secrets', 'used-secrets'],
      ['get', 'persistentvolumes', 'used-persistentvolumes'],
      ['get', 'persistentvolumes', 'kept'],
      ['patch', 'persistentvolumes', 'kept'],
      ['create', 'events.events.k8s.io'],
      ['list', 'endpointslices.discovery.k8s.io'],
      ['watch', 'configmaps', 'used-configmaps'],
      ['create', 'serviceaccounts/token', 'used-serviceaccounts'],
      ['create', 'events'],
      ['list', 'services'],
    ]
    const settings = { ...on(node, 'watch', 'configmaps', 'coracle-dns'), namespace: 'kube-system' }
    assert.equal((await authorizer(settings)) !== undefined, true, "the name server's settings")
    assert.equal((await authorizer({ ...settings, verb: 'update' })) !== undefined, false)
    const volumes = { ...on(node, 'watch', 'persistentvolumes'), namespace: undefined, name: undefined }
    const bySelector = async (labelSelector: string) => (await authorizer({ ...volumes, labelSelector } as Attempt)) !== undefined
    assert.equal(await bySelector('local.coracle.dev/node=n1'), true, 'its own volumes')
    assert.equal(await bySelector('local.coracle.dev/node=n2'), false)
    assert.equal(await bySelector('local.coracle.dev/node'), false)
    const refused: [string, string, string?][] = [
      ['patch', 'nodes', 'n2'],
      ['get', 'configmaps', 'coracle-dns'],
      ['delete', 'nodes', 'n1'],
      ['create', 'pods'],
      ['patch', 'pods/status', 'other'],
      ['delete', 'pods', 'other'],
      ['list', 'secrets'],
      ['get', 'secrets', 'other'],
      ['update', 'secrets', 'used-secrets'],
      ['create', 'serviceaccounts/token', 'other'],
      ['get', 'pods/exec', 'mine'],
      ['create', 'deployments.apps'],
      ['get', 'pods', 'other'],
      ['get', 'persistentvolumes', 'other'],
      ['list', 'persistentvolumes'],
      ['patch', 'persistentvolumes', 'used-persistentvolumes'],
      ['update', 'persistentvolumes', 'kept'],
      ['delete', 'persistentvolumes', 'kept'],
      ['list', 'persistentvolumeclaims'],
      ['get', 'volumeattachments.storage.k8s.io', 'other'],
      // Of the same name, in a group of somebody else.
      ['list', 'services.example.com'],
      ['get', 'secrets.example.com', 'used-secrets'],
      ['create', 'events.example.com'],
      ['patch', 'nodes.example.com', 'n1'],
      ['create', 'tokenreviews'],
    ]
    for (const [verb, path, name] of allowed) assert.equal(await verdict(verb, path, name), true, `${verb} ${path} ${name}`)
    for (const [verb, path, name] of refused) assert.equal(await verdict(verb, path, name), false, `${verb} ${path} ${name}`)
    const lease = { ...on(node, 'update', 'leases.coordination.k8s.io', 'n1'), namespace: 'kube-node-lease' } as Attempt
    assert.ok(await authorizer(lease))
    assert.equal(await authorizer({ ...lease, name: 'n2' } as Attempt), undefined)
    assert.ok(await authorizer({ ...lease, name: 'load-balancer-192.0.2.1' } as Attempt))
    assert.ok(await authorizer({ ...lease, verb: 'watch', name: undefined } as Attempt))
    assert.equal(await authorizer({ ...lease, verb: 'deletecollection', name: undefined } as Attempt), undefined)
  })
})
