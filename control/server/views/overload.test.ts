import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlowSchema, PriorityLevelConfiguration } from '#api/kinds/index.ts'
import type { User } from '#control/auth/user.ts'
import { configMap, eventsOf, trial } from '../testing/trial.fake.ts'

const person = (name: string): User => ({ name, groups: ['system:masters-not', 'system:authenticated'] })
const node: User = { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] }
const configMaps = '/api/v1/namespaces/test/configmaps'

/** May read and write in the namespace `test`. */
async function allow(server: Awaited<ReturnType<typeof trial>>) {
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/test/rolebindings'
  const subjects = [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:masters-not' }]
  const roleRef = { kind: 'ClusterRole', apiGroup: 'rbac.authorization.k8s.io', name: 'cluster-admin' }
  assert.equal((await server.ask('POST', rbac, { metadata: { name: 'people' }, subjects, roleRef })).code, 201)
}

test('a greedy client with hundreds of requests holds up neither a lease nor a person', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  await allow(server)
  for (let i = 0; i < 120; i += 1) await server.ask('POST', configMaps, configMap(`c${i}`, { text: 'x'.repeat(500) }))
  const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases'
  const made = await server.ask('POST', leases, { metadata: { name: 'a' }, spec: { holderIdentity: 'a' } }, { user: node })
  assert.equal(made.code, 201, made.text)

  const done: string[] = []
  const note = (who: string) => (answer: { code: number }) => {
    done.push(`${who} ${answer.code}`)
    return answer
  }
  const greedy = Array.from({ length: 400 }, () =>
    server.ask('GET', configMaps, undefined, { user: person('greedy') }).then(note('greedy')),
  )
  const renewed = server.ask('PUT', `${leases}/a`, made.body, { user: node }).then(note('node'))
  const asked = server.ask('GET', configMaps, undefined, { user: person('ann') }).then(note('person'))
  await Promise.all([...greedy, renewed, asked])

  assert.ok(done.includes('node 200') && done.includes('person 200'), done.filter((d) => !d.startsWith('greedy')).join())
  const servedBefore = (who: string) => done.slice(0, done.indexOf(`${who} 200`)).filter((d) => d === 'greedy 200').length
  assert.ok(servedBefore('node') <= 40, `the lease waited for ${servedBefore('node')} requests of the greedy client`)
  assert.ok(servedBefore('person') <= 60, `the person waited for ${servedBefore('person')} requests of the greedy client`)
  const refused = done.filter((d) => d === 'greedy 429').length
  assert.ok(refused > 0 && refused < 400, `${refused} were sent away`)
  for (const level of server.fairness.levels) assert.deepEqual([level.name, level.seatsInUse, level.waiting], [level.name, 0, 0])
})

test('who is sent away learns when to come back, and where the request belonged', async (t) => {
  const server = await trial({ seats: 2 })
  t.after(() => server.close())
  await allow(server)
  const answers = await Promise.all(Array.from({ length: 400 }, () => server.ask('GET', configMaps, undefined, { user: person('greedy') })))
  const refused = answers.find((a) => a.code === 429)
  assert.ok(refused)
  assert.equal(refused.headers.get('retry-after'), '1')
  assert.deepEqual([refused.body.kind, refused.body.reason, refused.body.details], ['Status', 'TooManyRequests', { retryAfterSeconds: 1 }])
  const level = await server.client.get(PriorityLevelConfiguration, { name: 'global-default' })
  const schema = await server.client.get(FlowSchema, { name: 'global-default' })
  const served = answers.find((a) => a.code === 200)
  for (const answer of [refused, served]) {
    assert.equal(answer?.headers.get('x-kubernetes-pf-flowschema-uid'), schema.metadata.uid)
    assert.equal(answer?.headers.get('x-kubernetes-pf-prioritylevel-uid'), level.metadata.uid)
  }
})

test('watches hold a seat only while they start, and a failed request gives its seat back', async (t) => {
  const server = await trial({ seats: 2 })
  t.after(() => server.close())
  await allow(server)
  const stop = new AbortController()
  const user = person('ann')
  const watches = await Promise.all(
    Array.from({ length: 20 }, async () => await server.app.request(`${configMaps}?watch=true`, { signal: stop.signal }, { user })),
  )
  assert.ok(watches.every((w) => w.status === 200))
  const events = watches.map((watch) => eventsOf(watch))
  for (let i = 0; i < 20; i += 1) assert.equal((await server.ask('GET', `${configMaps}/none`, undefined, { user })).code, 404)
  assert.equal((await server.ask('POST', configMaps, configMap('new'), { user })).code, 201)
  for (const each of events) assert.equal((await each.next()).value.object.metadata.name, 'new')
  stop.abort()
  await Promise.all(events.map((each) => each.return(undefined)))
})

test('a level that is changed or made steers requests from then on', async (t) => {
  const server = await trial()
  t.after(() => server.close())
  await allow(server)
  const flow = '/apis/flowcontrol.apiserver.k8s.io/v1'
  const limited = { nominalConcurrencyShares: 1, borrowingLimitPercent: 0, limitResponse: { type: 'Reject' } }
  await server.ask('POST', `${flow}/prioritylevelconfigurations`, { metadata: { name: 'one' }, spec: { type: 'Limited', limited } })
  const schema = {
    metadata: { name: 'ann' },
    spec: {
      priorityLevelConfiguration: { name: 'one' },
      matchingPrecedence: 50,
      rules: [
        {
          subjects: [{ kind: 'User', user: { name: 'ann' } }],
          resourceRules: [{ verbs: ['*'], apiGroups: [''], resources: ['configmaps'], namespaces: ['test'] }],
        },
      ],
    },
  }
  const made = await server.ask('POST', `${flow}/flowschemas`, schema)
  assert.equal(made.code, 201, made.text)
  const ask = () => server.ask('GET', configMaps, undefined, { user: person('ann') })
  const answers = await Promise.all(Array.from({ length: 10 }, ask))
  assert.deepEqual(new Set(answers.map((a) => a.code)), new Set([200, 429]))
  assert.equal(answers[0]?.headers.get('x-kubernetes-pf-flowschema-uid'), made.body.metadata.uid)
  await server.ask('DELETE', `${flow}/flowschemas/ann`)
  assert.ok((await Promise.all(Array.from({ length: 10 }, ask))).every((a) => a.code === 200))
})
