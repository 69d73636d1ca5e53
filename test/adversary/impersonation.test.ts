// Acting as somebody else: each part of who that is is asked for and authorized, or the request is refused.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterRole, ClusterRoleBinding } from '#api/kinds/index.ts'
import { type Live, live } from '#control/server/testing/live.fake.ts'

let server: Live
let helper: { cert: string; key: string }

before(async () => {
  server = await live()
  helper = await server.pki.authority.issue({ commonName: 'helper', usage: 'client' })
  const rule = (group: string, resource: string, ...resourceNames: string[]) => ({
    apiGroups: [group],
    resources: [resource],
    resourceNames,
    verbs: ['impersonate'],
  })
  const client = server.server.client()
  await client.create(ClusterRole, {
    metadata: { name: 'acts-as-jane' },
    rules: [
      rule('', 'users', 'jane'),
      rule('', 'groups', 'dev'),
      rule('', 'serviceaccounts', 'robot'),
      rule('authentication.k8s.io', 'uids', '06f6ce97'),
      rule('authentication.k8s.io', 'userextras/scopes', 'view', 'a, b'),
      rule('authentication.k8s.io', 'userextras/example.com/project', 'some'),
    ],
  })
  await client.create(ClusterRoleBinding, {
    metadata: { name: 'acts-as-jane' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'acts-as-jane' },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'helper' }],
  })
})
after(() => server[Symbol.asyncDispose]())

const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'

async function whoami(headers: Record<string, string | string[]>) {
  const { code, body } = await server.ask('POST', review, { body: {}, headers: headers as Record<string, string>, as: helper })
  return code === 201 ? body.status.userInfo : [code, body.reason, body.message]
}

test('uid, extra and groups arrive as they were asked for', async () => {
  const seen = await whoami({
    'Impersonate-User': 'jane',
    'Impersonate-Group': 'dev',
    'Impersonate-Uid': '06f6ce97',
    'Impersonate-Extra-Scopes': ['view', 'a, b'],
    'Impersonate-Extra-example.com%2fproject': 'some',
  })
  assert.deepEqual(seen, {
    username: 'jane',
    uid: '06f6ce97',
    groups: ['dev', 'system:authenticated'],
    extra: { scopes: ['view', 'a, b'], 'example.com/project': ['some'] },
  })
  assert.deepEqual((await whoami({ 'Impersonate-User': 'system:serviceaccount:default:robot' })).groups, [
    'system:serviceaccounts',
    'system:serviceaccounts:default',
    'system:authenticated',
  ])
})

test('what may not be asked for is refused, each part by itself', async () => {
  const cannot = (resource: string, group: string) => `User "helper" cannot impersonate resource "${resource}" in API group "${group}"`
  const refused: [Record<string, string | string[]>, string][] = [
    [{ 'Impersonate-User': 'root' }, cannot('users', '')],
    [{ 'Impersonate-User': 'jane', 'Impersonate-Group': ['dev', 'system:masters'] }, cannot('groups', '')],
    [{ 'Impersonate-User': 'jane', 'Impersonate-Group': 'dev, system:masters' }, cannot('groups', '')],
    [{ 'Impersonate-User': 'jane', 'Impersonate-Uid': '1' }, cannot('uids', 'authentication.k8s.io')],
    [{ 'Impersonate-User': 'jane', 'Impersonate-Extra-Scopes': ['view', 'admin'] }, cannot('userextras/scopes', 'authentication.k8s.io')],
    [{ 'Impersonate-User': 'jane', 'Impersonate-Extra-Other': 'view' }, cannot('userextras/other', 'authentication.k8s.io')],
    [{ 'Impersonate-User': 'system:serviceaccount:kube-system:robber' }, cannot('serviceaccounts', '')],
  ]
  for (const [headers, words] of refused) {
    const [code, reason, message] = await whoami(headers)
    assert.deepEqual([code, reason, message.includes(words)], [403, 'Forbidden', true], message)
  }
})

test('parts without a user, or that nobody knows, are no request as oneself', async () => {
  const odd: Record<string, string>[] = [
    { 'Impersonate-Group': 'dev' },
    { 'Impersonate-Uid': '06f6ce97' },
    { 'Impersonate-Extra-Scopes': 'view' },
    { 'Impersonate-User': 'jane', 'Impersonate-Nonsense': 'x' },
    { 'Impersonate-User': 'jane', 'Impersonate-Extra-': 'x' },
  ]
  for (const headers of odd) {
    const [code, reason] = await whoami(headers)
    assert.deepEqual([code, reason], [400, 'BadRequest'], JSON.stringify(headers))
  }
})
