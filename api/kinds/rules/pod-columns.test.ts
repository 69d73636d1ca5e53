import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Pod } from '../../types/core-v1.gen.ts'
import { podColumns } from './pod-columns.ts'

const now = Date.UTC(2025, 0, 1, 12)
const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString()
type Loose = Record<string, unknown>

/** Ready, Status and Restarts as kubectl prints them. */
function row(status: Loose, spec: Loose = {}, metadata: Loose = {}): string {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', uid: 'u', resourceVersion: '1', ...metadata },
    spec: { containers: [{ name: 'a' }, { name: 'b' }], ...spec },
    status,
  } as unknown as Pod
  return podColumns
    .slice(1, 4)
    .map((c) => c.cell(pod, now))
    .join(' | ')
}
const running = { ready: true, restartCount: 0, state: { running: {} }, lastState: {} }
const waiting = (reason: string, more: Loose = {}) => ({
  ready: false,
  restartCount: 0,
  state: { waiting: { reason } },
  lastState: {},
  ...more,
})
const ended = (exitCode: number, reason?: string, more: Loose = {}) => ({
  ready: false,
  restartCount: 0,
  state: { terminated: { exitCode, ...(reason && { reason }) } },
  lastState: {},
  ...more,
})
const inits = { initContainers: [{ name: 'i1' }, { name: 'i2' }] }

it('a pod is shown by what holds it up', () => {
  assert.equal(row({ phase: 'Pending' }), '0/2 | Pending | 0')
  assert.equal(row({ phase: 'Running', containerStatuses: [running, running] }), '2/2 | Running | 0')
  assert.equal(row({ phase: 'Pending', containerStatuses: [waiting('ContainerCreating'), running] }), '1/2 | ContainerCreating | 0')
  assert.equal(row({ phase: 'Pending', containerStatuses: [waiting('ImagePullBackOff'), running] }), '1/2 | ImagePullBackOff | 0')
  assert.equal(row({ phase: 'Succeeded', containerStatuses: [ended(0, 'Completed'), ended(0, 'Completed')] }), '0/2 | Completed | 0')
  assert.equal(row({ phase: 'Failed', containerStatuses: [ended(3), ended(0, 'Completed')] }), '0/2 | ExitCode:3 | 0')
  assert.equal(row({ phase: 'Failed', reason: 'Evicted' }), '0/2 | Evicted | 0')
})

it('restarts tell when the last one was', () => {
  const crashed = waiting('CrashLoopBackOff', { restartCount: 4, lastState: { terminated: { exitCode: 1, finishedAt: ago(5) } } })
  assert.equal(row({ phase: 'Running', containerStatuses: [crashed, running] }), '1/2 | CrashLoopBackOff | 4 (5s ago)')
  const twice = { ...running, restartCount: 2, lastState: { terminated: { exitCode: 1, finishedAt: ago(3700) } } }
  assert.equal(row({ phase: 'Running', containerStatuses: [crashed, twice] }), '1/2 | CrashLoopBackOff | 6 (5s ago)')
  assert.equal(row({ phase: 'Running', containerStatuses: [running, twice] }), '2/2 | Running | 2 (61m ago)')
})

it('one part done and the other running is Running only while ready', () => {
  const statuses = [ended(0, 'Completed'), running]
  assert.equal(row({ phase: 'Running', containerStatuses: statuses }), '1/2 | NotReady | 0')
  assert.equal(row({ phase: 'Running', containerStatuses: statuses, conditions: [{ type: 'Ready', status: 'True' }] }), '1/2 | Running | 0')
})

it('initialisation is counted', () => {
  const started = { name: 'i1', restartCount: 0, lastState: {} }
  assert.equal(row({ phase: 'Pending', initContainerStatuses: [{ ...started, state: { running: {} } }] }, inits), '0/2 | Init:0/2 | 0')
  assert.equal(
    row(
      {
        phase: 'Pending',
        initContainerStatuses: [
          { ...ended(0), name: 'i1' },
          { ...waiting('PodInitializing'), name: 'i2' },
        ],
      },
      inits,
    ),
    '0/2 | Init:1/2 | 0',
  )
  assert.equal(row({ phase: 'Pending', initContainerStatuses: [{ ...ended(1, 'Error'), name: 'i1' }] }, inits), '0/2 | Init:Error | 0')
  assert.equal(
    row({ phase: 'Pending', initContainerStatuses: [{ ...waiting('CrashLoopBackOff'), name: 'i1', restartCount: 3 }] }, inits),
    '0/2 | Init:CrashLoopBackOff | 3',
  )
})

it('a sidecar counts as a container', () => {
  const spec = { initContainers: [{ name: 's', restartPolicy: 'Always' }] }
  const sidecar = { ...running, name: 's', started: true }
  assert.equal(
    row({ phase: 'Running', initContainerStatuses: [sidecar], containerStatuses: [running, running] }, spec),
    '3/3 | Running | 0',
  )
})

it('what is being deleted is Terminating, unless it is over', () => {
  const metadata = { deletionTimestamp: ago(1) }
  assert.equal(row({ phase: 'Running', containerStatuses: [running, running] }, {}, metadata), '2/2 | Terminating | 0')
  assert.equal(
    row({ phase: 'Succeeded', containerStatuses: [ended(0, 'Completed'), ended(0, 'Completed')] }, {}, metadata),
    '0/2 | Completed | 0',
  )
})
