import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ClusterRole } from '#api/kinds/index.ts'
import type { User } from '#control/auth/user.ts'
import { ensureRoles } from '../default-roles.ts'
import { type Trial, trial } from '../testing/trial.fake.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const jane: User = { name: 'jane', groups: ['system:authenticated'] }
const reader = { metadata: { name: 'reader' }, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }] }
const binding = (name: string, role: string) => ({
  metadata: { name },
  subjects: [{ kind: 'User', name: 'jane' }],
  roleRef: { kind: role.includes(':') || role === 'view' ? 'ClusterRole' : 'Role', name: role },
})

describe('roles, served', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())
  const as = (user: User) => (method: string, path: string, body?: unknown) => server.ask(method, path, body, { user })

  it('open what they name, from the moment they are bound', async () => {
    assert.equal((await as(jane)('GET', '/api/v1/namespaces/test/pods')).code, 403)
    await server.ask('POST', `${rbac}/namespaces/test/roles`, reader)
    const made = await server.ask('POST', `${rbac}/namespaces/test/rolebindings`, binding('jane-reads', 'reader'))
    assert.deepEqual(made.body.subjects, [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'jane' }])
    assert.equal((await as(jane)('GET', '/api/v1/namespaces/test/pods')).code, 200)
    assert.equal((await as(jane)('GET', '/api/v1/pods')).code, 403)
    const may = await as(jane)('POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', { spec: { namespace: 'test' } })
    assert.deepEqual(
      may.body.status.resourceRules.find((r: { resources: string[] }) => r.resources.includes('pods')),
      reader.rules[0],
    )
  })

  it('cannot be changed to grant more than who changes them has', async () => {
    const grants = {
      apiGroups: ['rbac.authorization.k8s.io'],
      resources: ['roles', 'rolebindings'],
      verbs: ['create', 'update', 'patch', 'get'],
    }
    const held = { apiGroups: [''], resources: ['pods'], verbs: ['get'] }
    await server.ask('POST', `${rbac}/namespaces/test/roles`, { metadata: { name: 'granter' }, rules: [grants, held] })
    await server.ask('POST', `${rbac}/namespaces/test/rolebindings`, binding('jane-grants', 'granter'))
    const more = { metadata: { name: 'more' }, rules: [{ apiGroups: [''], resources: ['pods', 'secrets'], verbs: ['get', 'delete'] }] }
    const refused = await as(jane)('POST', `${rbac}/namespaces/test/roles`, more)
    assert.equal(refused.code, 403)
    assert.equal(
      refused.body.message,
      `roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:
{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}
{APIGroups:[""], Resources:["secrets"], Verbs:["get" "delete"]}`,
    )
    assert.equal((await as(jane)('POST', `${rbac}/namespaces/test/roles`, { metadata: { name: 'same' }, rules: [held] })).code, 201)
    const bound = await as(jane)('POST', `${rbac}/namespaces/test/rolebindings`, binding('admin', 'system:aggregate-to-edit'))
    assert.equal(bound.code, 403)
    const absent = await as(jane)('POST', `${rbac}/namespaces/test/rolebindings`, binding('none', 'none'))
    assert.deepEqual([absent.code, absent.body.message], [404, 'roles.rbac.authorization.k8s.io "none" not found'])
    const own = await as(jane)('POST', `${rbac}/namespaces/test/rolebindings`, binding('own', 'same'))
    assert.equal(own.code, 201)
  })

  it('do not change what they are about once bound', async () => {
    const path = `${rbac}/namespaces/test/rolebindings/jane-reads`
    const { body } = await server.ask('GET', path)
    const changed = await server.ask('PUT', path, { ...body, roleRef: { ...body.roleRef, name: 'other' } })
    assert.equal(changed.code, 422)
    assert.match(changed.body.message, /roleRef: Invalid value: .*: cannot change roleRef/)
  })

  it('of every cluster come back when the server starts, unless they are told not to', async () => {
    const path = `${rbac}/clusterroles`
    const discovery = (await server.ask('GET', `${path}/system:discovery`)).body
    const basic = (await server.ask('GET', `${path}/system:basic-user`)).body
    const off = { ...basic.metadata, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'false' } }
    await server.ask('PUT', `${path}/system:discovery`, { ...discovery, rules: [{ nonResourceURLs: ['/mine'], verbs: ['get'] }] })
    await server.ask('PUT', `${path}/system:basic-user`, { ...basic, metadata: off, rules: [] })
    await server.ask('DELETE', `${path}/system:monitoring`)
    await ensureRoles(server.client)
    const after = await server.client.get(ClusterRole, { name: 'system:discovery' })
    assert.deepEqual(after.rules.flatMap((r) => r.nonResourceURLs).includes('/openapi'), true)
    assert.ok(after.rules.some((r) => r.nonResourceURLs?.includes('/mine')))
    assert.deepEqual((await server.client.get(ClusterRole, { name: 'system:basic-user' })).rules, [])
    assert.ok(await server.client.find(ClusterRole, { name: 'system:monitoring' }))
    const revision = await server.store.revision()
    await ensureRoles(server.client)
    assert.equal(await server.store.revision(), revision, 'and nothing is written when nothing is missing')
  })
})

describe('certificate signing requests', () => {
  let server: Trial
  before(async () => {
    server = await trial()
    const rules = [
      {
        apiGroups: ['certificates.k8s.io'],
        resources: ['certificatesigningrequests', 'certificatesigningrequests/approval'],
        verbs: ['*'],
      },
    ]
    await server.ask('POST', `${rbac}/clusterroles`, { metadata: { name: 'approver' }, rules })
    await server.ask('POST', `${rbac}/clusterrolebindings`, {
      ...binding('approver', ''),
      roleRef: { kind: 'ClusterRole', name: 'approver' },
    })
  })
  after(() => server.close())

  const path = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
  const der = Buffer.from('3003020100', 'hex').toString('base64')
  const request = Buffer.from(`-----BEGIN CERTIFICATE REQUEST-----\n${der}\n-----END CERTIFICATE REQUEST-----\n`).toString('base64')
  const spec = { request, signerName: 'example.com/signer', usages: ['client auth'], username: 'somebody-else' }
  const approved = { type: 'Approved', status: 'True', reason: 'Good', lastUpdateTime: '2024-01-01T00:00:00Z' }

  it('say who asks, whatever they say', async () => {
    const { code, body } = await server.ask(
      'POST',
      path,
      { metadata: { name: 'a' }, spec },
      { user: { ...jane, extra: { from: ['here'] } } },
    )
    assert.equal(code, 201)
    assert.deepEqual([body.spec.username, body.spec.groups, body.spec.extra], ['jane', jane.groups, { from: ['here'] }])
    const changed = await server.ask('PUT', `${path}/a`, { ...body, spec: { ...body.spec, username: 'root' } })
    assert.equal(changed.body.spec.username, 'jane')
  })

  it('are approved by those who may approve for the signer, and only as approvals', async () => {
    const { body } = await server.ask('GET', `${path}/a`)
    const decided = { ...body, status: { conditions: [approved] } }
    const asJane = await server.ask('PUT', `${path}/a/approval`, decided, { user: jane })
    assert.equal(
      asJane.body.message,
      'certificatesigningrequests.certificates.k8s.io "a" is forbidden: user not permitted to approve requests with signerName "example.com/signer"',
    )
    const around = await server.ask('PUT', `${path}/a/status`, decided)
    assert.match(around.body.message, /status.conditions: Forbidden: updates may not add a condition of type "Approved"/)
    const done = await server.ask('PUT', `${path}/a/approval`, { ...decided, status: { ...decided.status, certificate: 'eA==' } })
    assert.equal(done.code, 200)
    assert.deepEqual([done.body.status.conditions[0].type, done.body.status.certificate], ['Approved', undefined])
    assert.equal(done.body.status.conditions[0].lastTransitionTime, approved.lastUpdateTime)
    const denied = { ...done.body, status: { conditions: [...done.body.status.conditions, { ...approved, type: 'Denied' }] } }
    assert.match(
      (await server.ask('PUT', `${path}/a/approval`, denied)).body.message,
      /Approved and Denied conditions are mutually exclusive/,
    )
    const issued = await server.ask('PUT', `${path}/a/status`, { ...done.body, status: { ...done.body.status, certificate: 'eA==' } })
    assert.equal(issued.body.status.certificate, 'eA==')
  })
})
