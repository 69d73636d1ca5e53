// What a job calls for, as text.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job, Pod } from '#api/kinds/index.ts'
import { commonOf, formatIndexes, missingIndexes, parseIndexes, unionOf, withIndexes } from './indexes.ts'
import { outcomeOf } from './outcome.ts'
import { planPods } from './plan.ts'
import { planStatus } from './status.ts'
import { tally } from './tally.ts'

const now = Date.UTC(2025, 0, 1)

function job(spec: Partial<Job['spec']> = {}, status: Partial<Job['status']> = {}): Job {
  return {
    metadata: { name: 'j', namespace: 'default', uid: 'j' },
    spec: {
      ...(spec.parallelism === undefined && { completions: 1 }),
      parallelism: 1,
      backoffLimit: 6,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c' }] } },
      ...spec,
    },
    status: { startTime: '2025-01-01T00:00:00Z', ...status },
  } as unknown as Job
}

/**
 * `a`: running; `a+`: succeeded; `a-`: failed; `a-3`: failed with exit code 3; `a~`: being deleted; `a*2`: restarted twice.
 * A leading `!`: counted, or never tracked. `a@1`: of index 1; `a@1/2`: which had failed twice before.
 */
function pods(text: string): Pod[] {
  return text
    .split(' ')
    .filter(Boolean)
    .map((word) => {
      const [, counted, name = '', , index, , before, end, number] = /^(!?)([a-z]+)(@(\d+)(\/(\d+))?)?([-+~*]?)(\d*)$/.exec(word) ?? []
      const annotations = {
        ...(index && { 'batch.kubernetes.io/job-completion-index': index }),
        ...(before && { 'batch.kubernetes.io/job-index-failure-count': before }),
      }
      const exitCode = Number(number || (end === '-' ? 1 : 0))
      return {
        metadata: {
          name,
          namespace: 'default',
          uid: name,
          annotations,
          finalizers: counted ? [] : ['batch.kubernetes.io/job-tracking'],
          ...(end === '~' && { deletionTimestamp: '2025-01-01T00:01:00Z' }),
        },
        spec: {},
        status: {
          phase: end === '+' ? 'Succeeded' : end === '-' ? 'Failed' : 'Running',
          containerStatuses: [
            {
              name: 'c',
              restartCount: end === '*' ? Number(number) : 0,
              ...((end === '-' || end === '+') && { state: { terminated: { exitCode } } }),
            },
          ],
        },
      } as unknown as Pod
    })
}

const names = (some: readonly Pod[]) => some.map(({ metadata }) => metadata.name).join(' ')
const line = (what: string, text: string | number) => (text ? [`${what} ${text}`] : [])

function text(of: Job, podText: string, { activeForMs = 0, backoffMs = 0, since = 3_600_000 } = {}): string {
  const all = pods(podText)
  const counts = tally(of, all)
  const outcome = outcomeOf(of, all, counts, activeForMs)
  const plan = planPods(of, all, counts, outcome, { backoffMs, since: () => since })
  const wanted = plan.create.map(({ index, failures }) => `${index ?? '?'}${failures?.counted ? `/${failures.counted}` : ''}`)
  return [
    ...line('create', wanted.join(' ')),
    ...line('fail', names(plan.fail)),
    ...line('drop', names(plan.drop)),
    ...line('track', names(plan.track)),
    ...line('after', plan.after ?? ''),
    ...(outcome ? [`${outcome.end} ${outcome.reason}: ${outcome.message}`] : []),
  ].join('\n')
}

function statusText(of: Job, podText: string): string {
  const all = pods(podText)
  const outcome = outcomeOf(of, all, tally(of, all), 0)
  const { status, release, notices } = planStatus(of, all, tally(of, all, outcome?.end === 'Failed'), outcome, now)
  const { uncountedTerminatedPods: { succeeded = [], failed = [] } = {} } = status
  return [
    `${status.active ?? 0} active, ${status.succeeded ?? 0} succeeded, ${status.failed ?? 0} failed, ${status.terminating} terminating`,
    ...line('completed', status.completedIndexes ?? ''),
    ...line('failed indexes', status.failedIndexes ?? ''),
    ...line('uncounted', [...succeeded.map((uid) => `${uid}+`), ...failed.map((uid) => `${uid}-`)].join(' ')),
    ...line('release', names(release)),
    ...line('conditions', (status.conditions ?? []).map(({ type, status: is }) => `${type}=${is}`).join(' ')),
    ...notices.map(({ type, reason }) => `${type} ${reason}`),
  ].join('\n')
}

test('as many pods as are missing, and no more than may run at once', () => {
  assert.equal(text(job(), ''), 'create ?')
  assert.equal(text(job(), 'a'), '')
  assert.equal(text(job({ completions: 5, parallelism: 2 }), 'a'), 'create ?')
  assert.equal(text(job({ completions: 5, parallelism: 10 }, { succeeded: 3 }), 'a+'), 'create ?')
  assert.equal(text(job({ completions: 5, parallelism: 2 }), 'a b c'), 'drop a')
  assert.equal(text(job({ parallelism: 0, completions: 3 }), ''), '')
  assert.equal(text(job({ completions: 0 }), ''), 'Complete CompletionsReached: Reached expected number of succeeded pods')
})

test('a queue of work: the first to succeed ends the making of pods, the last one ends the job', () => {
  const queue = { parallelism: 3 }
  assert.equal(text(job(queue), ''), 'create ? ? ?')
  assert.equal(text(job(queue), 'a b+ c-'), '')
  assert.equal(text(job(queue), 'a+ b+ c-'), 'Complete CompletionsReached: Reached expected number of succeeded pods')
})

test('indexes: the lowest that are missing; what is there twice goes', () => {
  const indexed = { completionMode: 'Indexed', completions: 5, parallelism: 3 } as const
  assert.equal(text(job(indexed), ''), 'create 0 1 2')
  assert.equal(text(job(indexed, { completedIndexes: '0,2' }), 'a@3'), 'create 1 4')
  assert.equal(text(job(indexed), 'a@0 b@0 c@1'), 'drop a')
  assert.equal(text(job(indexed), 'a@7 b c@1'), 'drop a b')
  assert.equal(
    text(job({ ...indexed, completions: 3 }), 'a@0+ b@1+ c@2+'),
    'Complete CompletionsReached: Reached expected number of succeeded pods',
  )
  // Made smaller, what has succeeded beyond its end counts no more.
  assert.equal(text(job({ ...indexed, completions: 2, parallelism: 2 }, { completedIndexes: '1-4' }), ''), 'create 0')
})

test('failures: one too many, in place or replaced', () => {
  const limited = { backoffLimit: 1, completions: 3, parallelism: 3 }
  const exceeded = 'Failed BackoffLimitExceeded: Job has reached the specified backoff limit'
  assert.equal(text(job(limited), 'a- b', { backoffMs: 10_000 }), 'after 10000')
  assert.equal(text(job(limited), 'a- b'), 'create ? ?')
  assert.equal(text(job(limited), 'a- b- c'), `fail c\n${exceeded}`)
  assert.equal(text(job(limited, { failed: 1 }), '!a- b- c'), `fail c\n${exceeded}`)
  assert.equal(text(job(limited, { failed: 1 }), '!a- b c'), 'create ?')
  // A pod that somebody deletes has failed, too.
  assert.equal(text(job(limited), 'a~ b~ c'), `fail c\n${exceeded}`)
  const inPlace = { template: { spec: { restartPolicy: 'OnFailure', containers: [] } } as never, completions: 2, parallelism: 2 }
  assert.equal(text(job({ ...inPlace, backoffLimit: 4 }), 'a*1 b*2'), '')
  assert.equal(text(job({ ...inPlace, backoffLimit: 4 }), 'a*2 b*2'), `fail a b\n${exceeded}`)
  assert.equal(text(job({ ...inPlace, backoffLimit: 0 }), 'a*0 b*1'), `fail a b\n${exceeded}`)
})

test('the deadline', () => {
  const due = job({ activeDeadlineSeconds: 60, completions: 2, parallelism: 2 })
  assert.equal(text(due, 'a b', { activeForMs: 59_999 }), '')
  assert.equal(
    text(due, 'a b', { activeForMs: 60_000 }),
    'fail a b\nFailed DeadlineExceeded: Job was active longer than specified deadline',
  )
  assert.equal(text(job({ ...due.spec, suspend: true }), '', { activeForMs: 60_000 }), '')
})

test('by index: each waits and fails for itself', () => {
  const each = { completionMode: 'Indexed', completions: 4, parallelism: 4, backoffLimit: 100, backoffLimitPerIndex: 1 } as const
  assert.equal(text(job(each), 'a@0- b@1 c@2 d@3'), 'create 0/1')
  assert.equal(text(job(each), 'a@0- b@1 c@2 d@3', { since: 4_000 }), 'after 6000')
  // The second failure is one too many: its index is lost, and nobody takes its place.
  assert.equal(text(job(each), 'a@0/1- b@1 c@2 d@3'), '')
  assert.equal(text(job(each), 'a@0/1- b@1+ c@2+ d@3+'), 'Failed FailedIndexes: Job has failed indexes')
  assert.equal(
    text(job({ ...each, maxFailedIndexes: 1 }), 'a@0/1- b@1/1- c@2 d@3+'),
    'fail c\nFailed MaxFailedIndexesExceeded: Job has exceeded the specified maximal number of failed indexes',
  )
  // Until another pod carries on the count, the failed one is kept and not counted.
  assert.equal(statusText(job(each), 'a@0- b@1 c@2 d@3'), '3 active, 0 succeeded, 0 failed, 0 terminating')
  assert.equal(statusText(job(each), 'a@0- e@0/1 b@1 c@2 d@3'), '4 active, 0 succeeded, 0 failed, 0 terminating\nuncounted a-\nrelease a')
  assert.equal(
    statusText(job(each), 'a@0/1- b@1 c@2 d@3'),
    '3 active, 0 succeeded, 0 failed, 0 terminating\nfailed indexes 0\nuncounted a-\nrelease a',
  )
})

test('the pod failure policy', () => {
  const rules = [
    { action: 'FailJob', onExitCodes: { containerName: 'c', operator: 'In', values: [42] } },
    { action: 'Ignore', onExitCodes: { operator: 'In', values: [7] } },
    { action: 'FailIndex', onExitCodes: { operator: 'In', values: [9] } },
    { action: 'Count', onExitCodes: { operator: 'NotIn', values: [1, 2] } },
  ] as never
  const of = (more: Partial<Job['spec']> = {}) =>
    job({ podFailurePolicy: { rules }, completions: 3, parallelism: 3, backoffLimit: 0, ...more })
  assert.equal(
    text(of(), 'a-42 b c'),
    'fail b c\nFailed PodFailurePolicy: Container c for pod default/a failed with exit code 42 matching FailJob rule at index 0',
  )
  assert.equal(text(of(), 'a-7 b c'), 'create ?')
  assert.equal(statusText(of(), 'a-7 b c'), '2 active, 0 succeeded, 0 failed, 0 terminating\nrelease a')
  assert.match(text(of(), 'a-5 b c'), /BackoffLimitExceeded/)
  const byIndex = { completionMode: 'Indexed', backoffLimitPerIndex: 3, backoffLimit: 10 } as const
  assert.match(statusText(of(byIndex), 'a@0-9 b@1 c@2'), /failed indexes 0/)
  // With such a policy a pod that is deleted is waited for until it has ended.
  assert.equal(text(of(), 'a~ b c'), '')
})

test('the success policy ends a job before all have succeeded, and nobody failed by that', () => {
  const of = (rule: object) => job({ completionMode: 'Indexed', completions: 5, parallelism: 5, successPolicy: { rules: [rule] } })
  assert.equal(text(of({ succeededIndexes: '0,2' }), 'a@0+ b@1 c@2 d@3+ e@4'), '')
  assert.equal(
    text(of({ succeededIndexes: '0,2' }), 'a@0+ b@1 c@2+ d@3 e@4'),
    'drop b d e\nComplete SuccessPolicy: Matched rules at index 0',
  )
  assert.match(text(of({ succeededIndexes: '0-4', succeededCount: 2 }), 'a@0+ b@1+ c@2 d@3 e@4'), /SuccessPolicy/)
  // Of two thousand million indexes, too.
  const vast = job({
    completionMode: 'Indexed',
    completions: 2 ** 31 - 1,
    parallelism: 1,
    successPolicy: { rules: [{ succeededIndexes: `0-${2 ** 31 - 2}`, succeededCount: 2 }] },
  })
  assert.equal(text(vast, 'a@7+'), 'create 0')
  assert.match(text(of({ succeededCount: 1 }), 'a@0 b@1+ c@2 d@3 e@4'), /SuccessPolicy/)
})

test('replaced as soon as they are on their way out, or only at their end', () => {
  assert.equal(text(job({ podReplacementPolicy: 'TerminatingOrFailed' }), 'a~'), 'create ?')
  assert.equal(text(job({ podReplacementPolicy: 'Failed' }), 'a~'), '')
  assert.equal(text(job({ podReplacementPolicy: 'Failed' }), 'a-'), 'create ?')
  const indexed = { completionMode: 'Indexed', completions: 3, parallelism: 2, podReplacementPolicy: 'Failed' } as const
  assert.equal(text(job(indexed), 'a@0~'), 'create 1')
})

test('suspended: all go, and none has failed by that', () => {
  const of = job({ suspend: true, completions: 3, parallelism: 3 })
  assert.equal(text(of, 'a b+ c'), 'drop a c')
  assert.equal(
    statusText(of, 'b+'),
    '0 active, 0 succeeded, 0 failed, 0 terminating\nuncounted b+\nrelease b\nconditions Suspended=True\nNormal Suspended',
  )
  const resumed = job({ suspend: false, completions: 3, parallelism: 3 }, { conditions: [{ type: 'Suspended', status: 'True' }] })
  assert.equal(statusText(resumed, ''), '0 active, 0 succeeded, 0 failed, 0 terminating\nconditions Suspended=False\nNormal Resumed')
})

test('each end is counted once: listed, let go, and then a number', () => {
  const of = (status: Partial<Job['status']>) => job({ completions: 4, parallelism: 2 }, status)
  assert.equal(statusText(of({}), 'a+ b'), '1 active, 0 succeeded, 0 failed, 0 terminating\nuncounted a+\nrelease a')
  const listed = { uncountedTerminatedPods: { succeeded: ['a'] } }
  // Written, but not let go: killed in between.
  assert.equal(statusText(of(listed), 'a+ b'), '1 active, 0 succeeded, 0 failed, 0 terminating\nuncounted a+\nrelease a')
  assert.equal(statusText(of(listed), '!a+ b'), '1 active, 1 succeeded, 0 failed, 0 terminating')
  assert.equal(statusText(of(listed), 'b'), '1 active, 1 succeeded, 0 failed, 0 terminating')
  assert.equal(statusText(of({ succeeded: 1 }), '!a+ b'), '1 active, 1 succeeded, 0 failed, 0 terminating')
})

test('the last word is said when every pod is at its end and counted', () => {
  const of = (status: Partial<Job['status']>) => job({ completions: 1, backoffLimit: 0 }, status)
  assert.equal(
    statusText(of({}), 'a+'),
    '0 active, 0 succeeded, 0 failed, 0 terminating\nuncounted a+\nrelease a\nconditions SuccessCriteriaMet=True',
  )
  const met = { conditions: [{ type: 'SuccessCriteriaMet', status: 'True' }], uncountedTerminatedPods: { succeeded: ['a'] } } as never
  assert.equal(
    statusText(of(met), '!a+'),
    '0 active, 1 succeeded, 0 failed, 0 terminating\nconditions SuccessCriteriaMet=True Complete=True\nNormal Completed',
  )
  assert.equal(statusText(of(met), '!a+ !b~'), '0 active, 1 succeeded, 0 failed, 1 terminating\nconditions SuccessCriteriaMet=True')
  const failing = { conditions: [{ type: 'FailureTarget', status: 'True', reason: 'BackoffLimitExceeded' }], failed: 1 } as never
  assert.equal(
    statusText(of(failing), ''),
    '0 active, 0 succeeded, 1 failed, 0 terminating\nconditions FailureTarget=True Failed=True\nWarning BackoffLimitExceeded',
  )
})

test('indexes as text', () => {
  const round = (text: string, end = 100) => formatIndexes(parseIndexes(text, end))
  assert.equal(round('0,1,3-7,8,10'), '0,1,3-8,10')
  assert.equal(round('0-9', 5), '0-4')
  assert.equal(round('x,3,-'), '3')
  assert.equal(formatIndexes(withIndexes(parseIndexes('0,4-6', 10), [5, 7, 1])), '0,1,4-7')
  assert.equal(formatIndexes(unionOf(parseIndexes('0-3', 10), parseIndexes('2-5,7', 10))), '0-5,7')
  assert.equal(formatIndexes(commonOf(parseIndexes('0-3,5,8-9', 10), parseIndexes('2-5,9', 10))), '2,3,5,9')
  assert.deepEqual([...missingIndexes(parseIndexes('1-2,5', 8), 8)], [0, 3, 4, 6, 7])
})
