// What every PodControl has to do, whatever keeps its pods. `open` gives one in which `owner` is alive and has no pods.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { StatusError } from '#api/errors.ts'
import { ReplicaSet } from '#api/kinds/index.ts'
import type { Labels } from '#api/selector/label.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { podFrom } from '../template.ts'
import type { PodControl } from './pod-control.ts'

export type PodControlSubject = {
  control: PodControl
  owner: ReplicaSet
  /** A pod that nobody controls. */
  orphan(name: string, labels: Record<string, string>): Promise<Pod>
  relabel(pod: Pod, labels: Record<string, string>): Promise<void>
  /** The owner is about to go: it may take nothing over any more. */
  doom(): Promise<void>
  /** From now on creates fail with this. */
  refuse(error: Error | undefined): void
  /** How often a create was asked for. */
  readonly asked: number
  /** What was told about the owner so far: `SuccessfulCreate Created pod: …`. */
  told(): Promise<string[]>
  close(): Promise<void>
}

export const conformanceOwner = {
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    replicas: 3,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image: 'web:1' }] } },
  },
}

export function podControlConformance(name: string, open: () => Promise<PodControlSubject>): void {
  const { signal } = new AbortController()
  const matches = (labels: Labels | undefined) => labels?.['app'] === 'web'
  const on = (text: string, run: (subject: PodControlSubject, owner: { kind: typeof ReplicaSet; object: ReplicaSet }) => Promise<void>) =>
    it(text, async () => {
      const subject = await open()
      try {
        await run(subject, { kind: ReplicaSet, object: subject.owner })
      } finally {
        await subject.close()
      }
    })
  const names = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name).sort()
  const active = (pods: readonly Pod[]) => names(pods.filter(({ metadata }) => !metadata.deletionTimestamp))
  const wanted = ({ owner }: PodControlSubject, count: number) =>
    Array.from({ length: count }, (_, i) => podFrom(owner.spec.template, owner, ReplicaSet, `web-${i}`))

  describe(`pod control: ${name}`, () => {
    on('what was made is claimed at once, and told of', async (subject, owner) => {
      const { pods, error } = await subject.control.create(owner, wanted(subject, 3), signal)
      assert.equal(error, undefined)
      assert.deepEqual(names(pods), ['web-0', 'web-1', 'web-2'])
      const claimed = await subject.control.claim(owner, matches, signal)
      assert.deepEqual(names(claimed), ['web-0', 'web-1', 'web-2'])
      assert.equal(claimed[0]?.metadata.ownerReferences?.[0]?.uid, subject.owner.metadata.uid)
      assert.deepEqual(
        (await subject.told()).sort(),
        [0, 1, 2].map((i) => `SuccessfulCreate Created pod: web-${i}`),
      )
    })

    on('what was deleted counts no more, at once', async (subject, owner) => {
      const { pods } = await subject.control.create(owner, wanted(subject, 3), signal)
      const { pods: deleted, error } = await subject.control.delete(owner, pods.slice(0, 2), signal)
      assert.equal(error, undefined)
      assert.deepEqual(names(deleted), ['web-0', 'web-1'])
      assert.deepEqual(active(await subject.control.claim(owner, matches, signal)), ['web-2'])
      assert.ok((await subject.told()).includes('SuccessfulDelete Deleted pod: web-0'))
    })

    on('deletes what it was shown, not what came under the same name', async (subject, owner) => {
      const { pods } = await subject.control.create(owner, wanted(subject, 1), signal)
      await subject.control.delete(owner, pods, signal)
      await subject.control.create(owner, wanted(subject, 1), signal)
      const again = await subject.control.delete(owner, pods, signal)
      assert.equal(again.error, undefined)
      assert.deepEqual(active(await subject.control.claim(owner, matches, signal)), ['web-0'])
    })

    on('a template that is refused costs one call, a failure among many ends its burst', async (subject, owner) => {
      subject.refuse(new StatusError('Invalid', 'no such pod'))
      const first = await subject.control.create(owner, wanted(subject, 40), signal)
      assert.deepEqual([first.pods.length, subject.asked], [0, 1])
      assert.match(String(first.error), /no such pod/)
      assert.deepEqual(await subject.told(), ['FailedCreate Error creating: no such pod'])
      subject.refuse(undefined)
      await subject.control.create(owner, wanted(subject, 40).slice(5, 6), signal)
      const taken = await subject.control.create(owner, wanted(subject, 40), signal)
      // 1, 2 and 4 of which the sixth is taken: the rest of its burst is made, the next is not.
      assert.equal(taken.pods.length, 6)
      assert.match(String(taken.error), /already exists/)
    })

    on('a namespace that goes away is nothing to complain of', async (subject, owner) => {
      const cause = { reason: 'NamespaceTerminating' as const, message: 'it goes' }
      subject.refuse(new StatusError('Forbidden', 'because it is being terminated', { causes: [cause] }))
      assert.deepEqual(await subject.control.create(owner, wanted(subject, 3), signal), { pods: [] })
      assert.deepEqual(await subject.told(), [])
    })

    on('orphans that match are taken over, strangers left, own ones that match no more let go', async (subject, owner) => {
      const { pods } = await subject.control.create(owner, wanted(subject, 2), signal)
      await subject.orphan('found', { app: 'web' })
      await subject.orphan('stranger', { app: 'other' })
      await subject.relabel(pods[0]!, { app: 'other' })
      assert.deepEqual(names(await subject.control.claim(owner, matches, signal)), ['found', 'web-1'])
      assert.deepEqual(names(await subject.control.claim(owner, matches, signal)), ['found', 'web-1'])
      await subject.relabel(pods[0]!, { app: 'web' })
      const back = await subject.control.claim(owner, matches, signal)
      assert.deepEqual(names(back), ['found', 'web-0', 'web-1'])
      assert.ok(back.every(({ metadata }) => metadata.ownerReferences?.length === 1 && metadata.ownerReferences[0]!.controller))
    })

    on('what the controller has no name for is passed over: neither taken over nor let go', async (subject, owner) => {
      const { pods } = await subject.control.create(owner, wanted(subject, 2), signal)
      await subject.orphan('found', { app: 'web' })
      await subject.relabel(pods[0]!, { app: 'other' })
      const only = ({ metadata }: Pod) => metadata.name === 'web-1'
      assert.deepEqual(names(await subject.control.claim(owner, matches, signal, { only })), ['web-1'])
      await subject.relabel(pods[0]!, { app: 'web' })
      assert.deepEqual(
        names(await subject.control.claim(owner, () => true, signal, { only: ({ metadata }) => metadata.name !== 'found' })),
        ['web-0', 'web-1'],
      )
    })

    on('an owner that is about to go takes nothing over', async (subject, owner) => {
      await subject.orphan('found', { app: 'web' })
      await subject.doom()
      assert.deepEqual(names(await subject.control.claim(owner, matches, signal)), [])
    })
  })
}
