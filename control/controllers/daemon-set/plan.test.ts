// Plans as text: nodes and their pods in, what to create and delete out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DaemonSet } from '#api/types/apps-v1.gen.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { planDaemons, type Sight } from './plan.ts'

/**
 * A node and its pods: `a`, `a: old`, `a: new unready`, `a: old + new`. After a node's name: `!` it does not answer, `~` no new
 * pod may come to it, `-` none may be there. Pods: `old` or `new`, then `unready`, `young`, `going`, `failed` or `done`.
 */
function node(text: string): Sight['nodes'][number] {
  const [, name, sign, list = ''] = /^(\w+)([!~-]?)(?:: (.*))?$/.exec(text)!
  const pods = list.split(' + ').filter(Boolean)
  return {
    name: name!,
    alive: sign !== '!',
    verdict: { run: sign === '' || sign === '!', keep: sign !== '-' },
    pods: pods.map((pod, i) => podOf(`${name}${i || ''}`, pod, i)),
  }
}

function podOf(name: string, text: string, age: number): Pod {
  const [version, state = ''] = text.split(' ')
  return {
    metadata: {
      name,
      creationTimestamp: `2025-01-01T00:00:0${age}Z`,
      labels: { version },
      annotations: { state },
      ...(state === 'going' && { deletionTimestamp: 'now' }),
    },
    spec: { nodeName: name },
    status: { phase: state === 'failed' ? 'Failed' : state === 'done' ? 'Succeeded' : 'Running' },
  } as unknown as Pod
}

function plan(rollingUpdate: object | undefined, nodes: string[], { heldBack = 0, lost = [] as string[] } = {}): string {
  const type = rollingUpdate ? 'RollingUpdate' : 'OnDelete'
  const { create, remove, recheck } = planDaemons({
    set: { metadata: {}, spec: { updateStrategy: { type, ...(rollingUpdate && { rollingUpdate }) } } } as unknown as DaemonSet,
    nodes: nodes.map(node),
    lost: lost.map((pod, i) => podOf(`lost${i}`, pod, i)),
    isUpdated: ({ metadata }) => metadata.labels?.['version'] === 'new',
    wait: ({ metadata }) => ({ '': 0, young: 3000 })[metadata.annotations?.['state'] ?? ''] ?? Number.POSITIVE_INFINITY,
    heldBack: () => heldBack,
  })
  const lines = [...create.map((name) => `create ${name}`), ...remove.map(({ pod, why }) => `delete ${pod.metadata.name} ${why}`)]
  return [...lines, ...(recheck === undefined ? [] : [`in ${recheck}`])].join(', ')
}

const one = { maxUnavailable: 1 }
const surge = { maxSurge: 1, maxUnavailable: 0 }

test('a pod to every node that should have one, none to the others', () => {
  assert.equal(plan(one, ['a', 'b', 'c: new', 'd~', 'e-']), 'create a, create b')
  assert.equal(plan(one, ['a: new going']), '')
  assert.equal(plan(one, ['a~: new', 'b-: new', 'c-: new going']), 'delete b unwanted')
  assert.equal(plan(one, ['a: new + new + new']), 'delete a1 surplus, delete a2 surplus')
  assert.equal(plan(one, ['a: new'], { lost: ['new', 'new going'] }), 'delete lost0 lost')
})

test('what came to its end is made again, after a while', () => {
  assert.equal(plan(one, ['a: new failed', 'b: new done']), 'delete a failed, delete b succeeded')
  assert.equal(plan(one, ['a: new failed'], { heldBack: 8000 }), 'in 8000')
})

test('a rolling update takes as many as may be missing', () => {
  assert.equal(plan(one, ['a: old', 'b: old', 'c: old']), 'delete a update')
  assert.equal(plan(one, ['a: old going', 'b: old', 'c: old']), '')
  assert.equal(plan(one, ['a', 'b: old', 'c: old']), 'create a')
  assert.equal(plan(one, ['a: new unready', 'b: old', 'c: old']), '')
  assert.equal(plan(one, ['a: new young', 'b: old', 'c: old']), 'in 3000')
  assert.equal(plan(one, ['a: new', 'b: old', 'c: old']), 'delete b update')
  assert.equal(plan({ maxUnavailable: '50%' }, ['a: old', 'b: old', 'c: old']), 'delete a update, delete b update')
  assert.equal(plan({ maxUnavailable: '1%' }, ['a: old', 'b: old', 'c: old']), 'delete a update')
  assert.equal(plan(undefined, ['a: old', 'b: old', 'c']), 'create c')
})

test('what is of no use goes before what is healthy is touched', () => {
  assert.equal(plan(one, ['a: old', 'b: old unready', 'c: old']), 'delete b update')
  assert.equal(plan(one, ['a: old unready', 'b: old unready', 'c: old']), 'delete a update, delete b update')
  assert.equal(plan({ maxUnavailable: 2 }, ['a: old', 'b: old unready', 'c: old']), 'delete b update, delete a update')
  assert.equal(plan(one, ['a: old young', 'b: old young', 'c: old']), 'in 3000')
})

test('a node that does not answer holds up nothing', () => {
  assert.equal(plan(one, ['a!: old unready', 'b: old', 'c: old']), 'delete a update, delete b update')
  assert.equal(plan(one, ['a!: old going', 'b: old', 'c: old']), 'delete b update')
  assert.equal(plan(one, ['a!: new unready', 'b: new', 'c: old']), 'delete c update')
  assert.equal(plan(one, ['a!: old', 'b: old']), 'delete b update')
  assert.equal(plan(surge, ['a!: old + new unready', 'b: old']), 'create b')
})

test('a new pod whose node takes no more pods still counts: it may be the pod that made it so', () => {
  assert.equal(plan(one, ['a~: new unready', 'b: old', 'c: old']), '')
  assert.equal(plan(one, ['a~: new', 'b: old', 'c: old']), 'delete b update')
})

test('with surge a new one comes beside the old one, which goes when the new one is available', () => {
  assert.equal(plan(surge, ['a: old', 'b: old']), 'create a')
  assert.equal(plan(surge, ['a: old + new unready', 'b: old']), '')
  assert.equal(plan(surge, ['a: old + new young', 'b: old']), 'in 3000')
  assert.equal(plan(surge, ['a: old + new', 'b: old']), 'create b, delete a surplus')
  assert.equal(plan(surge, ['a: old going + new', 'b: old']), 'create b')
  assert.equal(plan({ maxSurge: '100%', maxUnavailable: 0 }, ['a: old', 'b: old']), 'create a, create b')
})

test('with surge: an old one of no use gets a new one beside it at once, and gives way to it', () => {
  assert.equal(plan(surge, ['a: old unready', 'b: old unready', 'c: old']), 'create a, create b, create c')
  assert.equal(plan(surge, ['a: old unready + new unready', 'b: old']), 'create b, delete a surplus')
})

test('with surge: a new one that fails gives way to the next, while the healthy old one stays', () => {
  // Two templates are old now: the first, which works, and the second, which does not.
  assert.equal(plan(surge, ['a: old + old unready', 'b: old']), 'create a, delete a1 surplus')
})

test('surge with narrowed tolerations: no pod is made that could not come, and nobody waits for it', () => {
  assert.equal(plan(surge, ['a~: old', 'b: old', 'c: old']), 'create b, delete a update')
  assert.equal(plan(surge, ['a~: old going', 'b: old + new unready']), '')
  assert.equal(plan(one, ['a~: old', 'b: old']), 'delete a update, delete b update')
})
