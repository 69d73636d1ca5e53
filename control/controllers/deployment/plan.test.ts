import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Deployment, DeploymentSpec, ReplicaSet } from '#api/types/apps-v1.gen.ts'
import { limitsOf } from './limits.ts'
import { planRollout } from './plan.ts'
import { annotationsFor, desiredKey, expired, maxKey, newSet, revisionKey } from './revisions.ts'
import { scaleAnnotations } from './sets.ts'
import { planStatus } from './status.ts'

type Options = {
  replicas?: number
  surge?: number | string
  unavailable?: number | string
  image?: string
  more?: Partial<DeploymentSpec>
  status?: Deployment['status']
}

const deployment = ({ replicas = 4, surge = '25%', unavailable = '25%', image = '2', more = {}, status = {} }: Options = {}): Deployment =>
  ({
    metadata: { name: 'web', namespace: 'default', uid: 'd', resourceVersion: '1', generation: 1 },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: surge, maxUnavailable: unavailable } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
      ...more,
    },
    status,
  }) as unknown as Deployment

/** A set for `image`, as wide as told, `available` of it so; made by a deployment of `desired`. */
function set(image: string, size: number, available = size, { desired = 4, surge = 1 } = {}): ReplicaSet {
  const made = newSet(deployment({ image }), size, []) as unknown as ReplicaSet
  made.metadata.uid = image
  made.metadata.creationTimestamp = `2025-01-01T00:00:0${image}Z`
  made.metadata.annotations = { [revisionKey]: image, [desiredKey]: String(desired), [maxKey]: String(desired + surge) }
  made.status = { replicas: size, readyReplicas: available, availableReplicas: available }
  return made
}

const imageOf = (each: ReplicaSet) => each.spec.template.spec.containers[0]!.image

const text = (steps: ReturnType<typeof planRollout>): string =>
  steps
    .map((step) => {
      if (step.do === 'create') return `create ${step.set.spec?.replicas}`
      return step.do === 'scale' ? `v${imageOf(step.set)} ${step.set.spec.replicas}>${step.replicas}` : `${step.do} v${imageOf(step.set)}`
    })
    .join(', ')

/** Rolls out step by step; between steps all pods that are wanted become available and all others go. */
function rollOut(of: Deployment, sets: ReplicaSet[]): string[] {
  const log: string[] = []
  for (let i = 0; i < 30; i++) {
    const steps = planRollout(of, sets, false)
    if (!steps.length) return log
    log.push(text(steps))
    for (const step of steps) {
      if (step.do === 'create') {
        const made = set(imageOf(step.set as ReplicaSet)!, step.set.spec?.replicas ?? 0)
        sets.push({ ...made, metadata: { ...made.metadata, annotations: step.set.metadata.annotations! } })
      } else if (step.do === 'delete') sets.splice(sets.indexOf(step.set), 1)
      else if (step.do === 'refresh') step.set.metadata.annotations = step.annotations
      else {
        step.set.metadata.annotations = { ...step.set.metadata.annotations, ...scaleAnnotations(of) }
        step.set.spec = { ...step.set.spec, replicas: step.replicas }
        step.set.status = { replicas: step.replicas, readyReplicas: step.replicas, availableReplicas: step.replicas }
      }
    }
  }
  return [...log, 'does not end']
}

test('limits round as Kubernetes rounds, and never both are nothing', () => {
  const of = (replicas: number, surge: number | string, unavailable: number | string) => {
    const limits = limitsOf(deployment({ replicas, surge, unavailable }))
    return `${limits.surge} ${limits.unavailable}`
  }
  assert.equal(of(4, '25%', '25%'), '1 1')
  assert.equal(of(3, '25%', '25%'), '1 0')
  assert.equal(of(10, '25%', '25%'), '3 2')
  assert.equal(of(1, '25%', '25%'), '1 0')
  assert.equal(of(3, 0, '10%'), '0 1')
  assert.equal(of(2, 0, 5), '0 2')
  assert.equal(of(10, '100%', '0%'), '10 0')
})

test('a rollout, step by step', () => {
  assert.deepEqual(rollOut(deployment(), [set('1', 4)]), ['create 1', 'v1 4>2', 'v2 1>3', 'v1 2>0', 'v2 3>4'])
  assert.deepEqual(rollOut(deployment({ surge: 0, unavailable: 1 }), [set('1', 4)]), [
    'create 0',
    'v1 4>3',
    'v2 0>1',
    'v1 3>2',
    'v2 1>2',
    'v1 2>1',
    'v2 2>3',
    'v1 1>0',
    'v2 3>4',
  ])
  assert.deepEqual(rollOut(deployment({ surge: 1, unavailable: 0 }), [set('1', 4)]), [
    'create 1',
    'v1 4>3',
    'v2 1>2',
    'v1 3>2',
    'v2 2>3',
    'v1 2>1',
    'v2 3>4',
    'v1 1>0',
  ])
  assert.deepEqual(rollOut(deployment({ surge: '100%', unavailable: 0 }), [set('1', 4)]), ['create 4', 'v1 4>0'])
  assert.deepEqual(rollOut(deployment({ replicas: 0 }), []), ['create 0'])
  assert.deepEqual(rollOut(deployment({ replicas: 1 }), [set('1', 1, 1, { desired: 1 })]), ['create 1', 'v1 1>0'])
})

test('what is not available is not given up for, but what is of no use goes first', () => {
  assert.equal(text(planRollout(deployment(), [set('1', 3), set('2', 2, 0)], false)), '')
  assert.equal(text(planRollout(deployment(), [set('1', 3), set('2', 2, 1)], false)), 'v1 3>2')
  // Of the old, three were broken: they may go though nothing new is available yet.
  assert.equal(text(planRollout(deployment(), [set('1', 4, 1), set('2', 1, 0)], false)), 'v1 4>3')
  assert.equal(
    text(
      planRollout(
        deployment({ replicas: 10 }),
        [set('0', 2, 0, { desired: 10, surge: 3 }), set('1', 8, 8, { desired: 10, surge: 3 }), set('2', 3, 0, { desired: 10, surge: 3 })],
        false,
      ),
    ),
    'v0 2>0',
  )
})

test('recreate: all old ones go, and are gone, before the first new one', () => {
  const of = deployment({ more: { strategy: { type: 'Recreate' } } })
  assert.equal(text(planRollout(of, [set('1', 4)], true)), 'v1 4>0')
  assert.equal(text(planRollout(of, [set('1', 0)], true)), '')
  assert.equal(text(planRollout(of, [set('1', 0)], false)), 'create 4')
})

test('paused: nothing is made, but size is kept', () => {
  const of = (replicas: number) => deployment({ replicas, more: { paused: true } })
  assert.equal(text(planRollout(of(4), [set('1', 4)], false)), '')
  assert.equal(text(planRollout(of(6), [set('1', 4)], false)), 'v1 4>6')
})

test('a change of size in mid-rollout is shared out in proportion', () => {
  const sizes = { desired: 10, surge: 3 }
  const sets = () => [set('1', 8, 8, sizes), set('2', 5, 5, sizes)]
  assert.equal(text(planRollout(deployment({ replicas: 20 }), sets(), false)), 'v1 8>15, v2 5>10')
  assert.equal(text(planRollout(deployment({ replicas: 5 }), sets(), false)), 'v1 8>4, v2 5>3')
  assert.equal(text(planRollout(deployment({ replicas: 0 }), sets(), false)), 'v1 8>0, v2 5>0')
})

test('revisions count up; a set that comes back is the newest, and remembers', () => {
  const one = set('1', 0)
  const two = set('2', 4)
  assert.equal(annotationsFor(deployment({ image: '3' }), undefined, [one, two])[revisionKey], '3')
  const back = annotationsFor(deployment({ image: '1' }), one, [two])
  assert.deepEqual([back[revisionKey], back['deployment.kubernetes.io/revision-history']], ['3', '1'])
  assert.equal(annotationsFor(deployment(), two, [one])[revisionKey], '2')
  two.metadata.annotations = { [revisionKey]: '3546343826724305832' }
  assert.equal(annotationsFor(deployment({ image: '3' }), undefined, [one, two])[revisionKey], '3546343826724305833')
})

test('the same template has the same name, another another', () => {
  const name = (of: Deployment) => newSet(of, 1, []).metadata.name
  assert.equal(name(deployment()), name(deployment({ replicas: 9 })))
  assert.notEqual(name(deployment()), name(deployment({ image: '3' })))
  assert.notEqual(name(deployment()), name(deployment({ status: { collisionCount: 1 } })))
  assert.match(name(deployment())!, /^web-[bcdfghjklmnpqrstvwxz2-9]+$/)
})

test('history beyond the limit goes, oldest first, never with pods', () => {
  const sets = ['1', '2', '3', '4'].map((image) => set(image, 0))
  const of = (limit: number) => deployment({ more: { revisionHistoryLimit: limit } })
  assert.deepEqual(expired(of(2), sets).map(imageOf), ['1', '2'])
  assert.deepEqual(expired(of(0), [set('1', 1), set('2', 0)]).map(imageOf), ['2'])
})

test('progress is told, and the lack of it after the deadline', () => {
  const at = Date.UTC(2025, 0, 1)
  const of = (status: Deployment['status'] = {}) => deployment({ more: { progressDeadlineSeconds: 60 }, status })
  const progress = (told: Deployment, current: ReplicaSet, old: ReplicaSet[], now: number) =>
    planStatus(told, current, old, now, (time) => now - Date.parse(time ?? ''))
  const told = (report: ReturnType<typeof planStatus>) =>
    report.status.conditions?.map(({ type, status, reason }) => `${type} ${status} ${reason}`)
  const first = progress(of(), set('2', 1, 0), [set('1', 4)], at)
  assert.deepEqual(told(first), ['Available True MinimumReplicasAvailable', 'Progressing True ReplicaSetUpdated'])
  assert.equal(first.recheck, 60_000)
  const later = progress(of(first.status), set('2', 1, 0), [set('1', 4)], at + 30_000)
  assert.deepEqual([later.recheck, later.status.conditions], [30_000, first.status.conditions])
  const late = progress(of(first.status), set('2', 1, 0), [set('1', 4)], at + 60_000)
  assert.deepEqual(told(late)?.[1], 'Progressing False ProgressDeadlineExceeded')
  const moved = progress(of(late.status), set('2', 1, 1), [set('1', 4)], at + 70_000)
  assert.deepEqual(told(moved)?.[1], 'Progressing True ReplicaSetUpdated')
  const complete = progress(of(moved.status), set('2', 4), [set('1', 0)], at + 80_000)
  assert.deepEqual(told(complete)?.[1], 'Progressing True NewReplicaSetAvailable')
  const scaledUp = progress(deployment({ replicas: 8, status: complete.status }), set('2', 8, 4), [set('1', 0)], at + 90_000)
  assert.deepEqual(told(scaledUp), ['Available False MinimumReplicasUnavailable', 'Progressing True NewReplicaSetAvailable'])
})
