import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../client/client.ts'
import { fakeClock, settle } from '../clock.fake.ts'
import { StatusError } from '../errors.ts'
import type { Event } from '../types/core-v1.gen.ts'
import { Correlator } from './correlate.ts'
import { recorder } from './recorder.ts'

const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '7' } }

type Call = { verb: 'create' | 'patch'; name: string; namespace?: string; body: Partial<Event> }

function setup() {
  const calls: Call[] = []
  const clock = fakeClock()
  const failures: Error[] = []
  const fail = () => {
    const error = failures.shift()
    if (error) throw error
  }
  const client = {
    create: async (_kind: unknown, object: Event) => {
      fail()
      calls.push({ verb: 'create', name: object.metadata.name, namespace: object.metadata.namespace, body: object })
      return object
    },
    patch: async (_kind: unknown, ref: { namespace?: string; name: string }, _type: string, body: Partial<Event>) => {
      fail()
      calls.push({ verb: 'patch', ...ref, body })
      return body
    },
  } as unknown as Client
  const events = recorder({ client, component: 'kubelet', host: 'pi', clock, random: () => 0.5 })
  return { calls, clock, failures, events }
}

test('an event names its object, its source and its time', async () => {
  const { events, calls } = setup()
  events.event(pod, 'Normal', 'Started', 'Started container web', { fieldPath: 'spec.containers{web}' })
  await events.flush()
  assert.equal(calls.length, 1)
  const { body, namespace, name } = calls[0]!
  assert.match(name, /^web\.[0-9a-f]+$/)
  assert.equal(namespace, 'shop')
  assert.deepEqual(body.involvedObject, {
    apiVersion: 'v1',
    kind: 'Pod',
    name: 'web',
    namespace: 'shop',
    uid: 'u1',
    resourceVersion: '7',
    fieldPath: 'spec.containers{web}',
  })
  assert.deepEqual(body.source, { component: 'kubelet', host: 'pi' })
  assert.equal(body.firstTimestamp, '2025-01-01T00:00:00Z')
  assert.equal(body.count, 1)
})

test('the same event again raises the count of the first', async () => {
  const { events, calls, clock } = setup()
  for (let i = 0; i < 3; i++) {
    events.event(pod, 'Warning', 'BackOff', 'Back-off restarting failed container')
    clock.jump(60_000)
  }
  await events.flush()
  assert.deepEqual(
    calls.map((call) => [call.verb, call.body.count, call.body.lastTimestamp]),
    [
      ['create', 1, '2025-01-01T00:00:00Z'],
      ['patch', 2, '2025-01-01T00:01:00Z'],
      ['patch', 3, '2025-01-01T00:02:00Z'],
    ],
  )
  assert.equal(calls[1]!.name, calls[0]!.name)
})

test('an event that expired on the server is made anew with its count', async () => {
  const { events, calls, failures } = setup()
  events.event(pod, 'Warning', 'BackOff', 'x')
  await events.flush()
  failures.push(new StatusError('NotFound', 'gone'))
  events.event(pod, 'Warning', 'BackOff', 'x')
  await events.flush()
  assert.deepEqual(
    calls.map((call) => [call.verb, call.body.count]),
    [
      ['create', 1],
      ['create', 2],
    ],
  )
})

test('many different messages of one reason are combined', async () => {
  const { events, calls } = setup()
  for (let i = 0; i < 13; i++) events.event(pod, 'Warning', 'Failed', `attempt ${i}`)
  await events.flush()
  assert.deepEqual(
    calls.slice(9).map((call) => [call.verb, call.body.message]),
    [
      ['create', 'attempt 9'],
      ['create', '(combined from similar events): attempt 10'],
      ['patch', '(combined from similar events): attempt 11'],
      ['patch', '(combined from similar events): attempt 12'],
    ],
  )
})

test('one object cannot flood: 25 at once, then one every five minutes', async () => {
  const { events, calls, clock } = setup()
  for (let i = 0; i < 40; i++) events.event(pod, 'Warning', 'Unhealthy', 'probe failed')
  await events.flush()
  assert.equal(calls.length, 25)
  clock.stall(300_000)
  for (let i = 0; i < 3; i++) events.event(pod, 'Warning', 'Unhealthy', 'probe failed')
  await events.flush()
  assert.equal(calls.length, 26)
})

test('a refused event is dropped and the next one goes out', async () => {
  const { events, calls, failures } = setup()
  failures.push(new StatusError('Forbidden', 'namespace is terminating'))
  events.event(pod, 'Normal', 'Pulled', 'a')
  events.event(pod, 'Normal', 'Created', 'b')
  await events.flush()
  assert.deepEqual(
    calls.map((call) => call.body.reason),
    ['Created'],
  )
})

test('while the server is away events wait and go out once it is back', async () => {
  const { events, calls, failures, clock } = setup()
  failures.push(new StatusError('ServiceUnavailable', 'connection refused'))
  events.event(pod, 'Normal', 'Pulled', 'a')
  events.event(pod, 'Normal', 'Created', 'b')
  await clock.advance(5_000)
  await events.flush()
  assert.deepEqual(
    calls.map((call) => call.body.reason),
    ['Pulled', 'Created'],
  )
})

test('close gives up what waits', async () => {
  const { events, calls, failures, clock } = setup()
  failures.push(new StatusError('ServiceUnavailable', 'connection refused'))
  events.event(pod, 'Normal', 'Pulled', 'a')
  await settle()
  assert.equal(clock.pending, 1)
  await events.close()
  assert.equal(clock.pending, 0)
  events.event(pod, 'Normal', 'Created', 'after close')
  await events.flush()
  assert.deepEqual(calls, [])
})

test('an event about a cluster-wide object goes to the default namespace', async () => {
  const { events, calls } = setup()
  events.event({ kind: 'Node', name: 'pi', uid: 'pi', apiVersion: 'v1' }, 'Normal', 'NodeReady', 'Node pi is ready')
  await events.flush()
  assert.equal(calls[0]!.namespace, 'default')
})

test('objects that are long gone are not remembered', () => {
  const correlator = new Correlator()
  const occur = (name: string, now: number) =>
    correlator.occur({ object: { kind: 'Pod', name }, type: 'Normal', reason: 'Started', message: '' }, now, now)
  for (let i = 0; i < 1000; i++) occur(`pod-${i}`, i)
  assert.equal(correlator.size, 3000)
  assert.equal(occur('pod-999', 2_000)?.count, 2)
  assert.equal(occur('pod-999', 3 * 3_600_000)?.count, 3)
  assert.equal(correlator.size, 3, 'an object, its group and its line')
})
