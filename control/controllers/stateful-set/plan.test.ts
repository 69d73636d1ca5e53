// Plans as text: the set and its pods in, the moves out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ControllerRevision, StatefulSet, StatefulSetSpec } from '#api/types/apps-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { planPods } from './plan.ts'

const revision = (name: string) => ({ metadata: { name } }) as ControllerRevision

const set = (replicas: number, spec: Partial<StatefulSetSpec> = {}): StatefulSet =>
  ({ metadata: { name: 'web', namespace: 'default', uid: 's' }, spec: { replicas, ...spec } }) as unknown as StatefulSet

/**
 * A pod by its ordinal, its revision, and what else is to be said of it: `0 v1`, `2 v1 unready`; also `pending`, `failed`,
 * `going` (being deleted) and `young` (ready, and not yet for long enough).
 */
function pod(text: string): Pod {
  const [ordinal, version, state] = text.split(' ') as [string, string, string?]
  return {
    metadata: {
      name: `web-${ordinal}`,
      labels: { 'controller-revision-hash': version },
      ...(state === 'going' && { deletionTimestamp: 'now' }),
      annotations: { state: state ?? '' },
    },
    spec: {},
    status: {
      phase: state === 'failed' ? 'Failed' : state === 'pending' ? 'Pending' : 'Running',
      conditions: [{ type: 'Ready', status: !state || state === 'young' ? 'True' : 'False' }],
    },
  } as unknown as Pod
}

const wait = ({ metadata }: Pod) =>
  metadata.annotations?.['state'] === 'young' ? 5000 : metadata.annotations?.['state'] ? Number.POSITIVE_INFINITY : 0

type Options = { heldBack?: number; current?: string; update?: string; claimable?: (ordinal: number) => boolean }

function plan(
  of: StatefulSet,
  pods: string[],
  { current = 'v1', update = 'v2', claimable = () => true, heldBack = 0 }: Options = {},
): string {
  const sight = {
    set: of,
    current: revision(current),
    update: revision(update),
    pods: pods.map(pod),
    wait,
    claimable,
    heldBack: () => heldBack,
  }
  const { moves, recheck } = planPods(sight)
  const lines = moves.map((move) =>
    move.do === 'create'
      ? `create ${move.ordinal} ${move.revision.metadata.name}`
      : `delete ${move.pod.metadata.name.slice(4)} ${move.why}`,
  )
  return [...lines, ...(recheck === undefined ? [] : [`in ${recheck}`])].join(', ')
}

const same = { current: 'v1', update: 'v1' }
const rolling = (rollingUpdate: object) => ({ updateStrategy: { type: 'RollingUpdate' as const, rollingUpdate } })
const parallel = { podManagementPolicy: 'Parallel' as const }

test('ordered: one after the other, each when the one before is available', () => {
  assert.equal(plan(set(3), [], same), 'create 0 v1')
  assert.equal(plan(set(3), ['0 v1 pending'], same), '')
  assert.equal(plan(set(3), ['0 v1 unready'], same), '')
  assert.equal(plan(set(3), ['0 v1 young'], same), 'in 5000')
  assert.equal(plan(set(3), ['0 v1'], same), 'create 1 v1')
  assert.equal(plan(set(3), ['0 v1', '2 v1'], same), 'create 1 v1')
  assert.equal(plan(set(3), ['0 v1', '1 v1', '2 v1'], same), '')
})

test('ordered: the highest goes first, and is gone before the next', () => {
  assert.equal(plan(set(1), ['0 v1', '1 v1', '2 v1'], same), 'delete 2 scale')
  assert.equal(plan(set(1), ['0 v1', '1 v1', '2 v1 going'], same), '')
  assert.equal(plan(set(1), ['0 v1', '1 v1'], same), 'delete 1 scale')
  assert.equal(plan(set(1), ['0 v1 unready', '1 v1'], same), '')
  assert.equal(plan(set(0), ['0 v1', '1 v1'], same), 'delete 1 scale')
})

test('to nothing with pods that crash: what is to go is not waited for', () => {
  assert.equal(plan(set(0), ['0 v1 unready', '1 v1 unready', '2 v1 pending'], same), 'delete 2 scale')
  assert.equal(plan(set(0), ['0 v1 unready', '1 v1 unready'], same), 'delete 1 scale')
  assert.equal(plan(set(0), ['0 v1 unready'], same), 'delete 0 scale')
})

test('parallel: all at once, whatever the others do', () => {
  assert.equal(plan(set(3, parallel), ['1 v1 unready'], same), 'create 0 v1, create 2 v1')
  assert.equal(plan(set(1, parallel), ['0 v1 unready', '1 v1', '2 v1 going'], same), 'delete 1 scale')
})

test('what came to its end is made again under its name', () => {
  assert.equal(plan(set(2), ['0 v1 failed', '1 v1'], same), 'delete 0 failed')
  assert.equal(plan(set(2), ['0 v1 going', '1 v1'], same), '')
  assert.equal(plan(set(2), ['0 v1 failed', '1 v1'], { ...same, heldBack: 4000 }), 'in 4000')
  assert.equal(plan(set(2, parallel), ['0 v1 failed', '1 v1 failed'], same), 'delete 0 failed, delete 1 failed')
})

test('an update goes down from the highest, one at a time', () => {
  assert.equal(plan(set(3), ['0 v1', '1 v1', '2 v1']), 'delete 2 update')
  assert.equal(plan(set(3), ['0 v1', '1 v1', '2 v1 going']), '')
  assert.equal(plan(set(3), ['0 v1', '1 v1']), 'create 2 v2')
  assert.equal(plan(set(3), ['0 v1', '1 v1', '2 v2 unready']), '')
  assert.equal(plan(set(3), ['0 v1', '1 v1', '2 v2 young']), 'in 5000')
  assert.equal(plan(set(3), ['0 v1', '1 v1', '2 v2']), 'delete 1 update')
  assert.equal(plan(set(3), ['0 v2', '1 v2', '2 v2']), '')
})

test('a size that changes comes before a template that does', () => {
  assert.equal(plan(set(4), ['0 v1', '1 v1', '2 v1']), 'create 3 v2')
  assert.equal(plan(set(2), ['0 v1', '1 v1', '2 v1']), 'delete 2 scale')
})

test('partition: below it stays what was, and is made of what was', () => {
  const partitioned = (partition: number, replicas = 3) => set(replicas, rolling({ partition }))
  assert.equal(plan(partitioned(2), ['0 v1', '1 v1', '2 v1']), 'delete 2 update')
  assert.equal(plan(partitioned(2), ['0 v1', '1 v1', '2 v2']), '')
  assert.equal(plan(partitioned(2), ['0 v1', '2 v2']), 'create 1 v1')
  assert.equal(plan(partitioned(5), ['0 v1', '1 v1', '2 v1']), '')
  const later = set(3, { ...rolling({ partition: 2 }), ordinals: { start: 10 } })
  assert.equal(plan(later, ['10 v1', '11 v1', '12 v1']), 'delete 12 update')
  assert.equal(plan(later, ['10 v1', '11 v1']), 'create 12 v2')
  assert.equal(plan(later, ['10 v1', '12 v2']), 'create 11 v1')
})

test('OnDelete: nothing goes; what was deleted comes back as it should be now', () => {
  const onDelete = set(3, { updateStrategy: { type: 'OnDelete' } })
  assert.equal(plan(onDelete, ['0 v1', '1 v1', '2 v1']), '')
  assert.equal(plan(onDelete, ['0 v1', '1 v1']), 'create 2 v2')
  assert.equal(plan(onDelete, ['0 v1 unready', '1 v1']), '')
})

test('ordinals that start elsewhere: the others go', () => {
  const moved = set(2, { ordinals: { start: 3 } })
  assert.equal(plan(moved, ['0 v1', '1 v1'], same), 'create 3 v1')
  assert.equal(plan(moved, ['0 v1', '1 v1', '3 v1', '4 v1'], same), 'delete 1 scale')
})

test('a template that was mended: what it left unready is replaced, and only that', () => {
  assert.equal(plan(set(3), ['0 v1 unready']), 'delete 0 update')
  assert.equal(plan(set(3), ['0 v1 pending']), 'delete 0 update')
  assert.equal(plan(set(3), ['0 v1', '1 v1', '2 v1 unready']), 'delete 2 update')
  assert.equal(plan(set(3), ['0 v2 unready', '1 v1']), '')
  // Below the partition nothing may change.
  assert.equal(plan(set(3, rolling({ partition: 1 })), ['0 v1 unready']), '')
})

test('maxUnavailable: as many as may be missing, those of no use first', () => {
  const two = set(5, rolling({ maxUnavailable: 2 }))
  const all = ['0 v1', '1 v1', '2 v1', '3 v1', '4 v1']
  assert.equal(plan(two, all), 'delete 4 update, delete 3 update')
  assert.equal(plan(set(5, rolling({ maxUnavailable: '50%' })), all), 'delete 4 update, delete 3 update')
  assert.equal(plan(set(5, rolling({ maxUnavailable: '10%' })), all), 'delete 4 update')
  const many = (maxUnavailable: number) => set(5, { ...parallel, ...rolling({ maxUnavailable }) })
  assert.equal(plan(many(2), ['0 v1', '1 v1', '2 v1', '3 v1', '4 v2 unready']), 'delete 3 update')
  assert.equal(plan(many(2), ['0 v1', '1 v1', '2 v1', '3 v2 unready', '4 v2 unready']), '')
  assert.equal(plan(many(2), ['0 v1 unready', '1 v1', '2 v1', '3 v1', '4 v1']), 'delete 0 update, delete 4 update')
  assert.equal(plan(many(1), ['0 v1 unready', '1 v1', '2 v1', '3 v1', '4 v1']), 'delete 0 update')
  assert.equal(plan(many(2), ['0 v1 young', '1 v1 young', '2 v1', '3 v1', '4 v1']), 'in 5000')
  assert.equal(plan(many(1), ['0 v1 unready', '1 v1 unready', '2 v1', '3 v1', '4 v1']), 'delete 1 update')
})

test('pods without the claims that the set’s pods have are replaced in their turn', () => {
  const stored = set(2, { volumeClaimTemplates: [{ metadata: { name: 'data' } }] as never })
  assert.equal(plan(stored, ['0 v1', '1 v1'], same), 'delete 1 update')
})

test('a claim that is on its way out is waited for', () => {
  const claimable = (ordinal: number) => ordinal !== 1
  assert.equal(plan(set(3), ['0 v1'], { ...same, claimable }), '')
  assert.equal(plan(set(3, parallel), ['0 v1'], { ...same, claimable }), 'create 2 v1')
})

test('a set that asks for two billion pods gets some at a time, and keeps those far up', () => {
  const most = 2 ** 31 - 1
  const made = (text: string) => text.split(', ').filter((move) => move.startsWith('create'))
  const all = set(most, { podManagementPolicy: 'Parallel', updateStrategy: { rollingUpdate: { maxUnavailable: '50%' } } })
  assert.equal(plan(set(most), []), 'create 0 v2')
  assert.equal(plan(set(most), ['0 v2', '5000 v1']), 'create 1 v2')
  const first = plan(all, ['0 v2', '5000 v1'])
  assert.deepEqual([made(first).length, made(first)[0], first.includes('delete')], [501, 'create 1 v2', false])
  assert.equal(made(plan(set(700, { podManagementPolicy: 'Parallel' }), ['0 v2', '900 v1'])).length, 501)
  assert.match(plan(set(700, { podManagementPolicy: 'Parallel' }), ['0 v2', '900 v1']), /delete 900 scale$/)
  // Hardly any of those that it asks for is there: none that is may go for an update.
  assert.doesNotMatch(plan({ ...all, spec: { ...all.spec, replicas: 100_000 } }, ['0 v1', '1 v1']), /delete/)
})
