import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import { type Action, type Plan, type PodView, plan, type View } from './plan.ts'

const NOW = 1_000_000

const container = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'busybox', resources: {}, ...more })

function podOf(spec: Partial<Pod['spec']>, metadata: Partial<Pod['metadata']> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', ...metadata },
    spec: { containers: [container('web')], ...spec },
    status: {},
  }
}

const none: View = { next: 0, started: false }
const running: View = { next: 1, started: true, last: { phase: 'running' } }
const exited = (exitCode: number, more: Partial<View> = {}): View => ({
  next: 1,
  started: false,
  last: { phase: 'exited', exitCode, endedAt: NOW },
  ...more,
})

function show({ actions, wakeAt, crashLooping, finished }: Plan): string {
  const words = (action: Action): string => {
    if (action.do === 'start') return `start ${action.container} #${action.attempt}`
    if (action.do === 'stop') return `stop ${action.container} within ${action.graceSeconds}s: ${action.message}`
    if (action.do === 'fail') return `fail ${action.reason}`
    return action.do
  }
  return [
    ...actions.map(words),
    ...[...crashLooping].map(([name, until]) => `${name} waits ${(until - NOW) / 1000}s`),
    ...(wakeAt === undefined ? [] : [`wake in ${(wakeAt - NOW) / 1000}s`]),
    ...(finished ? ['finished'] : []),
  ].join('\n')
}

const planned = (pod: Pod, views: Record<string, View>, more: Partial<PodView> = {}): string =>
  show(plan({ pod, now: NOW, views: new Map(Object.entries(views)), startedAt: NOW, ...more }))

const expect = (got: string, ...lines: string[]) => assert.equal(got, lines.join('\n'))

test('a new pod starts all its containers, in order', () => {
  expect(planned(podOf({ containers: [container('a'), container('b')] }), { a: none, b: none }), 'start a #0', 'start b #0')
  expect(planned(podOf({}), { web: { ...none, task: 'starting' } }))
  expect(planned(podOf({}), { web: running }))
})

test('an ephemeral container starts once, whatever the others do, and ends with the pod', () => {
  const ephemeralContainers = [{ ...container('look'), targetContainerName: 'web' }]
  const pod = podOf({ initContainers: [container('init')], ephemeralContainers })
  expect(planned(pod, { init: none, web: none, look: none }), 'start look #0', 'start init #0')
  expect(planned(pod, { init: exited(0), web: running, look: exited(1) }))
  const deleted = podOf({ ephemeralContainers }, { deletionTimestamp: 'now', deletionGracePeriodSeconds: 5 })
  expect(planned(deleted, { web: exited(0), look: running }), 'end', 'stop look within 5s: Stopping container look')
})

test('a container that ends is started again as the policy says', () => {
  for (const [restartPolicy, code, lines] of [
    ['Always', 0, ['start web #1']],
    ['Always', 1, ['start web #1']],
    ['OnFailure', 1, ['start web #1']],
    ['OnFailure', 0, ['end', 'release', 'finished']],
    ['Never', 0, ['end', 'release', 'finished']],
    ['Never', 1, ['end', 'release', 'finished']],
  ] as const) {
    expect(planned(podOf({ restartPolicy }), { web: exited(code) }), ...lines)
  }
})

test('a pod goes on while one of its containers does', () => {
  const pod = podOf({ restartPolicy: 'Never', containers: [container('a'), container('b')] })
  expect(planned(pod, { a: exited(1), b: running }))
  expect(planned(pod, { a: exited(1), b: exited(0) }), 'end', 'release', 'finished')
})

test('a crash loop waits 10 s, then longer, counted from when the container ended', () => {
  const crashed = (delay: number, ago: number) =>
    exited(1, { next: 3, last: { phase: 'exited', exitCode: 1, endedAt: NOW - ago }, backoff: { delay, at: NOW - ago - 1000 } })
  expect(planned(podOf({}), { web: crashed(10_000, 0) }), 'web waits 10s', 'wake in 10s')
  expect(planned(podOf({}), { web: crashed(20_000, 5_000) }), 'web waits 15s', 'wake in 15s')
  expect(planned(podOf({}), { web: crashed(20_000, 20_000) }), 'start web #3')
})

test('a container that ran long enough has its crash loop forgotten', () => {
  expect(planned(podOf({}), { web: exited(1, { backoff: { delay: 300_000, at: NOW - 600_001 } }) }), 'start web #1')
})

test('a start that failed is tried again at its time', () => {
  expect(planned(podOf({}), { web: { ...none, retryAt: NOW + 4_000 } }), 'wake in 4s')
  expect(planned(podOf({}), { web: { ...none, retryAt: NOW } }), 'start web #0')
})

test('init containers run one after another, each to its end', () => {
  const pod = podOf({ initContainers: [container('one'), container('two')] })
  const views = { one: none, two: none, web: none }
  expect(planned(pod, views), 'start one #0')
  expect(planned(pod, { ...views, one: running }))
  expect(planned(pod, { ...views, one: exited(0) }), 'start two #0')
  expect(planned(pod, { ...views, one: exited(0), two: exited(0) }), 'start web #0')
})

test('an init container that fails is tried again, or fails the pod', () => {
  const views = { init: exited(2), web: none }
  const initContainers = [container('init')]
  expect(planned(podOf({ initContainers }), views), 'start init #1')
  expect(planned(podOf({ initContainers, restartPolicy: 'OnFailure' }), views), 'start init #1')
  expect(planned(podOf({ initContainers, restartPolicy: 'Never' }), views), 'end', 'release', 'finished')
})

test('init containers are over once a container has run, even when their traces are lost', () => {
  const pod = podOf({ initContainers: [container('init')] })
  expect(planned(pod, { init: none, web: running }))
  expect(planned(pod, { init: none, web: exited(1) }), 'start web #1')
})

test('after a boot of the node init containers run again before the others', () => {
  const stale: View = { next: 1, started: false, last: { phase: 'exited', stale: true } }
  const pod = podOf({ initContainers: [container('init')] })
  expect(planned(pod, { init: none, web: stale }), 'start init #0')
  expect(planned(pod, { init: exited(0), web: stale }), 'start web #1')
  const once = podOf({ initContainers: [container('init')], restartPolicy: 'Never' })
  expect(planned(once, { init: none, web: stale }), 'end', 'release', 'finished')
})

test('a sidecar has to start before what follows, and is kept running', () => {
  const pod = podOf({ restartPolicy: 'Never', initContainers: [container('proxy', { restartPolicy: 'Always' }), container('init')] })
  expect(planned(pod, { proxy: none, init: none, web: none }), 'start proxy #0')
  expect(planned(pod, { proxy: { ...running, started: false }, init: none, web: none }))
  expect(planned(pod, { proxy: running, init: none, web: none }), 'start init #0')
  expect(planned(pod, { proxy: running, init: exited(0), web: none }), 'start web #0')
  expect(planned(pod, { proxy: exited(0), init: exited(0), web: running }), 'start proxy #1')
})

test('a container whose probe gave up is stopped, then started again', () => {
  const condemned = { message: 'Container web failed liveness probe, will be restarted', graceSeconds: 5 }
  expect(planned(podOf({}), { web: { ...running, condemned } }), `stop web within 5s: ${condemned.message}`)
  const forEver = { ...condemned, graceSeconds: (2n ** 63n - 1n) as unknown as number }
  expect(planned(podOf({}), { web: { ...running, condemned: forEver } }), `stop web within 9223372036854776000s: ${condemned.message}`)
  expect(planned(podOf({}), { web: { ...running, condemned, task: 'stopping' } }))
  expect(planned(podOf({}), { web: exited(137) }), 'start web #1')
})

test('a container with a new image is replaced, whatever the policy', () => {
  const pod = podOf({ restartPolicy: 'Never' })
  expect(planned(pod, { web: { ...running, changed: true } }), 'stop web within 30s: Container web definition changed, will be restarted')
  expect(planned(pod, { web: exited(0, { changed: true }) }), 'start web #1')
})

test('a pod past its deadline fails as a whole', () => {
  const pod = podOf({ activeDeadlineSeconds: 60 })
  expect(planned(pod, { web: running }, { startedAt: NOW - 20_000 }), 'wake in 40s')
  expect(planned(pod, { web: running }, { startedAt: NOW - 60_000 }), 'fail DeadlineExceeded')
  expect(planned(pod, { web: running }, { over: true }), 'end', 'stop web within 30s: Stopping container web')
})

const deleted = (spec: Partial<Pod['spec']>, grace = 30) =>
  podOf(spec, { deletionTimestamp: '2025-01-01T00:00:00Z', deletionGracePeriodSeconds: grace })

test('a deleted pod stops its containers, lets go of everything, and only then leaves the API', () => {
  const pod = deleted({ containers: [container('a'), container('b')] })
  expect(
    planned(pod, { a: running, b: running }),
    'end',
    'stop a within 30s: Stopping container a',
    'stop b within 30s: Stopping container b',
  )
  const ending = { endingSince: NOW - 10_000 }
  const stopping: View = { ...running, task: 'stopping', stopBy: NOW + 20_000 }
  expect(planned(pod, { a: stopping, b: exited(0) }, ending))
  expect(planned(pod, { a: exited(0), b: exited(0) }, ending), 'release', 'finished')
  expect(planned(pod, { a: exited(0), b: exited(0) }, { ...ending, released: true }), 'delete', 'finished')
})

test('a second deletion with less grace cuts a stop short', () => {
  const stopping: View = { ...running, task: 'stopping', stopBy: NOW + 20_000 }
  expect(planned(deleted({}, 0), { web: stopping }, { endingSince: NOW - 10_000 }), 'stop web within 0s: Stopping container web')
})

test('a start under way is stopped too', () => {
  expect(planned(deleted({}), { web: { ...none, task: 'starting' } }), 'end', 'stop web within 30s: Stopping container web')
})

test('sidecars stop after the others, the last first, within what is left of the grace', () => {
  const sidecar = (name: string) => container(name, { restartPolicy: 'Always' })
  const pod = deleted({ initContainers: [sidecar('one'), sidecar('two')] })
  const ending = { endingSince: NOW - 10_000 }
  expect(planned(pod, { one: running, two: running, web: running }, ending), 'stop web within 20s: Stopping container web')
  expect(planned(pod, { one: running, two: running, web: exited(0) }, ending), 'stop two within 20s: Stopping container two')
  expect(planned(pod, { one: running, two: exited(0), web: exited(0) }, ending), 'stop one within 20s: Stopping container one')
})

test('a pod that is gone from the API is brought down and not deleted again', () => {
  const gone = { gone: true, endingSince: NOW }
  expect(planned(podOf({}), { web: running }, gone), 'stop web within 30s: Stopping container web')
  expect(planned(podOf({}), { web: exited(0) }, gone), 'release', 'finished')
  expect(planned(deleted({}), { web: exited(0) }, { ...gone, released: true }), 'finished')
})

test('a pod that was over before starts nothing', () => {
  expect(planned(podOf({}), { web: none }, { over: true }), 'end', 'release', 'finished')
})
