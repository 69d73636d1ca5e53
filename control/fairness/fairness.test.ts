import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import type { FlowSchema, PriorityLevelConfiguration } from '#api/types/flowcontrol-v1.gen.ts'
import type { Attempt } from '../auth/authorizer.ts'
import type { User } from '../auth/user.ts'
import { defaultLevels, defaultSchemas } from './defaults.ts'
import { Fairness, type Seat } from './fairness.ts'

const metadata = (name: string) => ({ name, uid: `uid-${name}`, resourceVersion: '1' })
const levels = [...defaultLevels].map(([name, spec]) => ({ metadata: metadata(name), spec }) as PriorityLevelConfiguration)
const schemas = [...defaultSchemas].map(([name, spec]) => ({ metadata: metadata(name), spec }) as FlowSchema)

function open(seats = 100) {
  const clock = fakeClock()
  const turns: (() => void)[] = []
  const fairness = new Fairness({ seats, clock, soon: (run) => turns.push(run) })
  fairness.configure({ schemas, levels })
  const never = new AbortController().signal
  return {
    fairness,
    clock,
    /** Runs what is due on the event loop, one round. */
    turn: () => turns.splice(0).forEach((run) => run()),
    enter: (attempt: Attempt, { width = 1, signal = never } = {}) =>
      fairness.enter(fairness.placeOf(attempt), attempt, { seats: () => width, signal }),
    uidOf: (attempt: Attempt) => fairness.placeOf(attempt),
    level: (name: string) => [...fairness.levels].find((l) => l.name === name)!,
    count: (name: string) => [...fairness.counts].find((c) => c.flow === name)!,
  }
}

const of = (user: User, verb: string, resource: string, more: Partial<Attempt> = {}): Attempt =>
  ({ user, verb, resource, group: '', version: 'v1', subresource: '', namespace: 'default', name: undefined, ...more }) as Attempt
const person = (name: string): User => ({ name, groups: ['system:authenticated'] })
const node: User = { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] }
const list = (name: string) => of(person(name), 'list', 'pods')
const lease = of(node, 'update', 'leases', { group: 'coordination.k8s.io', namespace: 'kube-node-lease' })

test('every request has the place that Kubernetes gives it', () => {
  const { uidOf } = open()
  const placed = (attempt: Attempt) => {
    const { flowUid, levelUid } = uidOf(attempt)
    return `${flowUid.slice(4)} → ${levelUid.slice(4)}`
  }
  const account = (namespace: string, name: string): User => ({
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: ['system:serviceaccounts', 'system:authenticated'],
  })
  const health = (path: string): Attempt => ({ user: { name: 'x', groups: ['system:unauthenticated'] }, verb: 'get', path })
  assert.deepEqual(
    [
      of({ name: 'admin', groups: ['system:masters'] }, 'list', 'secrets'),
      lease,
      of(node, 'patch', 'nodes', { subresource: 'status', namespace: undefined }),
      of(node, 'list', 'pods'),
      of(account('kube-system', 'x'), 'update', 'leases', { group: 'coordination.k8s.io' }),
      of(account('kube-system', 'x'), 'list', 'pods'),
      of(account('shop', 'x'), 'list', 'pods'),
      list('ann'),
      health('/healthz'),
      health('/version'),
      of({ name: 'nobody', groups: [] }, 'get', 'pods'),
    ].map(placed),
    [
      'exempt → exempt',
      'system-node-high → node-high',
      'system-node-high → node-high',
      'system-nodes → system',
      'system-leader-election → leader-election',
      'kube-system-service-accounts → workload-high',
      'service-accounts → workload-low',
      'global-default → global-default',
      'probes → exempt',
      'global-default → global-default',
      'catch-all → catch-all',
    ],
  )
})

test('a flow may use what others do not need, and never what they keep', async () => {
  const { enter, level } = open()
  const held = Array.from({ length: 300 }, () => enter(list('greedy')))
  const started = held.filter((seat) => !(seat instanceof Promise)).length
  const kept = ['system', 'node-high', 'leader-election', 'workload-high', 'workload-low', 'catch-all'].reduce(
    (n, l) => n + level(l).kept,
    0,
  )
  assert.equal(started, 100 - kept, 'all but what other levels keep')
  assert.ok(started > level('global-default').nominal)
  assert.ok(!(enter(lease) instanceof Promise), 'the node does not wait')
  for (const seat of held) if (seat instanceof Promise) seat.catch(() => {})
})

test('many requests of one flow take turns with the few of another', async () => {
  const { enter, turn, clock } = open(10)
  const order: string[] = []
  const running: Seat[] = []
  const ask = (who: string) => {
    const seat = enter(list(who))
    if (seat instanceof Promise) void seat.then((s) => (order.push(who), running.push(s)))
    else running.push(seat)
  }
  for (let i = 0; i < 100; i += 1) ask('greedy')
  for (let i = 0; i < 3; i += 1) ask('person')
  assert.deepEqual(order, [], 'everybody waits who came after the seats were taken')
  while (order.length < 12) {
    clock.stall(5)
    running.shift()?.release()
    turn()
    await new Promise(setImmediate)
  }
  assert.ok(order.slice(0, 9).filter((who) => who === 'person').length === 3, `served in the order ${order.join(' ')}`)
})

test('a reader of much takes as many seats, and one that is wider than its level still gets in', async () => {
  const { enter, level } = open(20)
  const wide = enter(list('a'), { width: 10 })
  assert.ok(!(wide instanceof Promise))
  assert.equal(level('global-default').seatsInUse, 10)
  const next = enter(list('b'), { width: 10 })
  assert.ok(next instanceof Promise)
  next.catch(() => {})
})

test('full queues, a level without any, and waiting too long send away with 429', async () => {
  const { enter, clock, count } = open(10)
  const waiting: Promise<unknown>[] = []
  let refused = 0
  for (let i = 0; i < 500; i += 1) {
    try {
      const seat = enter(list('greedy'))
      if (seat instanceof Promise) waiting.push(seat)
    } catch (error) {
      assert.deepEqual([(error as { code: number }).code, (error as { details: object }).details], [429, { retryAfterSeconds: 1 }])
      refused += 1
    }
  }
  assert.equal(waiting.length, 6 * 50, 'its hand of queues')
  const person = enter(list('person'))
  assert.ok(person instanceof Promise, 'another still finds a queue')
  waiting.push(person)
  assert.equal(count('global-default').rejected['queue-full'], refused)
  const nobody = of({ name: 'nobody', groups: [] }, 'get', 'pods')
  enter(nobody)
  assert.throws(() => enter(nobody), { reason: 'TooManyRequests' })
  assert.equal(count('catch-all').rejected['concurrency-limit'], 1)
  const settled = Promise.allSettled(waiting)
  await clock.advance(15_000)
  const outcomes = await settled
  assert.ok(outcomes.every((o) => o.status === 'rejected'))
})

test('who gives up leaves the queue, and a seat given back twice counts once', async () => {
  const { enter, level, turn } = open(10)
  const first = enter(list('a')) as Seat
  while (!(enter(list('a')) instanceof Promise)) {}
  const stop = new AbortController()
  const gone = enter(list('b'), { signal: stop.signal }) as Promise<Seat>
  const before = level('global-default').waiting
  stop.abort()
  await assert.rejects(gone)
  assert.equal(level('global-default').waiting, before - 1)
  const inUse = level('global-default').seatsInUse
  first.release()
  first.release()
  assert.equal(level('global-default').seatsInUse, inUse - 1)
  turn()
  assert.equal(level('global-default').seatsInUse, inUse, 'its seat goes to the next')
})

test('objects steer it: a level of its own, borrowing forbidden, a dangling schema passed over', async () => {
  const { fairness, enter, uidOf, level } = open(100)
  const own = {
    metadata: metadata('slow'),
    spec: {
      type: 'Limited',
      limited: { nominalConcurrencyShares: 5, borrowingLimitPercent: 0, lendablePercent: 0, limitResponse: { type: 'Reject' } },
    },
  } as PriorityLevelConfiguration
  const schema = (name: string, to: string, precedence: number) =>
    ({
      metadata: metadata(name),
      spec: { ...defaultSchemas.get('global-default')!, priorityLevelConfiguration: { name: to }, matchingPrecedence: precedence },
    }) as FlowSchema
  fairness.configure({ schemas: [...schemas, schema('dangling', 'nowhere', 10), schema('slow', 'slow', 20)], levels: [...levels, own] })
  assert.equal(uidOf(list('a')).flowUid, 'uid-slow')
  const { nominal } = level('slow')
  for (let i = 0; i < nominal; i += 1) enter(list('a'))
  assert.throws(() => enter(list('a')), { reason: 'TooManyRequests' })
  fairness.configure({ schemas: [], levels: [] })
  assert.equal(uidOf(list('a')).flowUid, '', 'the mandatory ones hold without an object')
})
