import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PolicyRule, Subject } from '#api/types/rbac-v1.gen.ts'
import type { Attempt } from './authorizer.ts'
import { defaultBindings, defaultRoles } from './default-roles.ts'
import { type Roles, rbacAuthorizer } from './rbac.ts'
import { compacted, ruleText, uncovered } from './rbac-cover.ts'
import { anonymous, serviceAccountUser, type User } from './user.ts'

const meta = (name: string, namespace?: string) => ({ name, uid: name, resourceVersion: '1', ...(namespace && { namespace }) })
const rule = (verbs: string, groups: string, resources: string, names?: string): PolicyRule => ({
  verbs: verbs.split(' '),
  apiGroups: groups.split(' ').map((g) => (g === 'core' ? '' : g)),
  resources: resources.split(' '),
  ...(names && { resourceNames: names.split(' ') }),
})
const urls = (...nonResourceURLs: string[]): PolicyRule => ({ verbs: ['get'], nonResourceURLs })
const user = (name: string): Subject => ({ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name })
const group = (name: string): Subject => ({ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name })
const account = (name: string, namespace?: string): Subject => ({ kind: 'ServiceAccount', name, ...(namespace && { namespace }) })

/** `clusterRoles` by name, `roles` by `namespace/name`; bindings as [role, subjects]. */
function rolesOf(given: {
  clusterRoles?: Record<string, PolicyRule[]>
  roles?: Record<string, PolicyRule[]>
  everywhere?: [role: string, subjects: Subject[]][]
  within?: [namespace: string, role: string, subjects: Subject[]][]
}): Roles {
  const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: '' }
  const ref = (name: string) => ({ apiGroup: '', kind: name.includes('/') ? 'Role' : 'ClusterRole', name: name.split('/').at(-1) ?? '' })
  return {
    clusterRole(name) {
      const rules = given.clusterRoles?.[name]
      return rules && { ...rbac, metadata: meta(name), rules }
    },
    role(namespace, name) {
      const rules = given.roles?.[`${namespace}/${name}`]
      return rules && { ...rbac, metadata: meta(name, namespace), rules }
    },
    clusterRoleBindings: () =>
      (given.everywhere ?? []).map(([role, subjects]) => ({ ...rbac, metadata: meta(role), roleRef: ref(role), subjects })),
    roleBindings: (namespace) =>
      (given.within ?? [])
        .filter(([where]) => where === namespace)
        .map(([, role, subjects]) => ({ ...rbac, metadata: meta('b', namespace), roleRef: ref(role), subjects })),
  }
}

/** `verb group/resource/subresource name @namespace`; a path for what is no resource. */
function attempt(who: User, text: string): Attempt {
  const [verb = '', what = '', ...rest] = text.split(' ')
  if (what.startsWith('/')) return { user: who, verb, path: what }
  const [given = '', resource = '', subresource = ''] = what.split('/')
  const namespace = rest.find((part) => part.startsWith('@'))?.slice(1)
  const name = rest.find((part) => !part.startsWith('@'))
  return { user: who, verb, group: given === 'core' ? '' : given, version: 'v1', resource, subresource, namespace, name }
}

const jane: User = { name: 'jane', groups: ['dev', 'system:authenticated'] }

describe('roles', () => {
  const roles = rolesOf({
    clusterRoles: {
      'read-pods': [rule('get list', 'core', 'pods pods/log')],
      one: [rule('get update', 'core', 'configmaps', 'settings')],
      scaler: [rule('*', '*', '*/scale')],
      paths: [urls('/metrics', '/logs/*')],
    },
    roles: { 'test/edit': [rule('*', 'apps', '*')] },
    everywhere: [
      ['paths', [user('jane')]],
      ['scaler', [group('dev')]],
      ['gone', [user('jane')]],
    ],
    within: [
      ['test', 'test/edit', [user('jane')]],
      ['test', 'read-pods', [account('robot'), account('other', 'elsewhere')]],
      ['test', 'one', [user('jane')]],
    ],
  })
  const authorizer = rbacAuthorizer(roles)
  const may = async (who: User, text: string) => (await authorizer(attempt(who, text))) !== undefined
  const robot = serviceAccountUser('test', 'robot')
  const other = serviceAccountUser('elsewhere', 'other')

  for (const [who, text, expected] of [
    [jane, 'delete apps/deployments web @test', true],
    [jane, 'delete apps/deployments/status web @test', true],
    [jane, 'delete apps/deployments web @prod', false],
    [jane, 'delete apps/deployments web', false],
    [jane, 'delete batch/jobs web @test', false],
    [jane, 'get core/configmaps settings @test', true],
    [jane, 'get core/configmaps others @test', false],
    [jane, 'list core/configmaps @test', false],
    [jane, 'update apps/deployments/scale web @prod', true],
    [jane, 'update apps/deployments web @prod', false],
    [jane, 'get /metrics', true],
    [jane, 'get /logs/today', true],
    [jane, 'get /logs', false],
    [jane, 'post /metrics', false],
    [robot, 'get core/pods/log web @test', true],
    [robot, 'get core/pods/exec web @test', false],
    [robot, 'get core/pods web @elsewhere', false],
    [other, 'list core/pods @test', true],
    [anonymous, 'list core/pods @test', false],
  ] as const) {
    it(`${expected ? 'let' : 'do not let'} ${who.name} ${text}`, async () => assert.equal(await may(who, text), expected))
  }

  it('say why', async () => {
    assert.equal(
      await authorizer(attempt(robot, 'list core/pods @test')),
      'RBAC: allowed by RoleBinding "b/test" of ClusterRole "read-pods" to ServiceAccount "robot"',
    )
  })
})

describe('covering rules', () => {
  const text = (owned: PolicyRule[], asked: PolicyRule[]) => compacted(uncovered(owned, asked)).map(ruleText)
  it('is for each group, resource, name and verb', () => {
    assert.deepEqual(text([rule('*', '*', '*')], [rule('get list', 'core apps', 'pods deployments/scale')]), [])
    assert.deepEqual(text([rule('get', 'core', 'pods')], [rule('get list watch', 'core', 'pods')]), [
      '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
    ])
    assert.deepEqual(text([rule('get', 'core', 'pods', 'a b')], [rule('get', 'core', 'pods', 'a')]), [])
    assert.equal(text([rule('get', 'core', 'pods', 'a')], [rule('get', 'core', 'pods')]).length, 1)
    assert.equal(text([rule('get', 'core', 'pods')], [rule('*', 'core', 'pods')]).length, 1)
    assert.deepEqual(text([rule('get', 'apps', '*/scale')], [rule('get', 'apps', 'deployments/scale')]), [])
    assert.deepEqual(text([urls('/metrics/*')], [urls('/metrics/a', '/healthz')]), ['{NonResourceURLs:["/healthz"], Verbs:["get"]}'])
  })
})

describe('the roles of every cluster', () => {
  const found = defaultRoles()
  const roles = rolesOf({
    clusterRoles: Object.fromEntries(found.map((role) => [role.metadata.name, role.rules])),
    everywhere: defaultBindings().map((binding) => [binding.roleRef.name, binding.subjects ?? []]),
  })
  const may = async (who: User, text: string) => (await rbacAuthorizer(roles)(attempt(who, text))) !== undefined

  it('are there once, and every binding has its role', () => {
    const names = found.map((role) => role.metadata.name)
    assert.equal(new Set(names).size, names.length)
    for (const binding of defaultBindings()) assert.ok(names.includes(binding.roleRef.name), binding.roleRef.name)
  })

  it('let everybody find out what there is, and nobody change it', async () => {
    assert.ok(await may(anonymous, 'get /version'))
    assert.equal(await may(anonymous, 'get /apis'), false)
    assert.ok(await may(jane, 'get /apis/apps/v1'))
    assert.ok(await may(jane, 'create authorization.k8s.io/selfsubjectaccessreviews'))
    assert.equal(await may(jane, 'list core/pods @default'), false)
    assert.ok(await may({ name: 'root', groups: ['system:masters'] }, 'delete core/nodes one'))
  })

  it('grow from view to edit to admin', () => {
    const rulesFor = (role: string): PolicyRule[] => {
      const selector = found.find((r) => r.metadata.name === role)?.aggregationRule?.clusterRoleSelectors?.[0]?.matchLabels ?? {}
      const [label = ''] = Object.keys(selector)
      return found.filter((r) => r.metadata.labels[label]).flatMap((r) => (r.aggregationRule ? rulesFor(r.metadata.name) : r.rules))
    }
    const names = Array.from({ length: 300 }, (_, i) => `n${i}`)
    const wide = { verbs: names, apiGroups: names, resources: names, resourceNames: names }
    assert.throws(() => uncovered([rule('get', 'core', 'secrets')], [wide]), /hold 8100000000 combinations/)
    assert.deepEqual(uncovered([wide], [wide, { ...wide, verbs: ['n7'] }]), [])
    assert.deepEqual(uncovered(rulesFor('admin'), rulesFor('edit')), [])
    assert.deepEqual(uncovered(rulesFor('edit'), rulesFor('view')), [])
    assert.ok(uncovered(rulesFor('view'), rulesFor('edit')).length > 0)
    assert.ok(uncovered(rulesFor('view'), [rule('get', 'core', 'secrets')]).length > 0, 'viewers do not see secrets')
  })
})
