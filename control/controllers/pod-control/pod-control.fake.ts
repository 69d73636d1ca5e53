// Pods in a map, for tests of controllers' decisions: no server, no watch, nothing ever late.

import { randomUUID } from 'node:crypto'
import { isNamespaceTerminating, StatusError } from '#api/errors.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { claim, controllerRef } from '../ownership.ts'
import { inBursts } from './burst.ts'
import { type Owner, type PodControl, plainWords, textOf, type Words } from './pod-control.ts'

export type FakePodControl = PodControl & {
  /** All pods, by name; a test may change them. */
  readonly pods: Map<string, Pod>
  /** `SuccessfulCreate Created pod: web-0` and so on. */
  readonly told: string[]
  readonly asked: number
  /** What creates fail with. */
  refusal: Error | undefined
  /** Uids of owners that are about to go, whatever the caller believes. */
  readonly doomed: Set<string>
}

export function fakePodControl(words: Words = plainWords): FakePodControl {
  const pods = new Map<string, Pod>()
  const told: string[] = []
  const doomed = new Set<string>()
  let asked = 0
  let generated = 0

  function make(owner: Owner, pod: Parameters<PodControl['create']>[1][number]): Pod {
    asked += 1
    const name = pod.metadata.name ?? `${pod.metadata.generateName}${(generated += 1)}`
    const error = fake.refusal ?? (pods.has(name) ? new StatusError('AlreadyExists', `pods "${name}" already exists`) : undefined)
    if (error) {
      if (!isNamespaceTerminating(error)) told.push(`FailedCreate ${words.notCreated(owner, name, textOf(error))}`)
      throw error
    }
    const made = { status: { phase: 'Pending' }, ...pod, metadata: { ...pod.metadata, name, uid: randomUUID() } } as Pod
    pods.set(name, made)
    told.push(`SuccessfulCreate ${words.created(owner, name)}`)
    return made
  }

  const owned = (pod: Pod, ownerReferences: NonNullable<Pod['metadata']['ownerReferences']>): Pod => {
    const next = { ...pod, metadata: { ...pod.metadata, ownerReferences } }
    pods.set(pod.metadata.name, next)
    return next
  }

  const fake: FakePodControl = {
    pods,
    told,
    doomed,
    refusal: undefined,
    get asked() {
      return asked
    },
    async claim({ kind, object }, matches, _signal, { only = () => true } = {}) {
      const claims = claim(object, [...pods.values()].filter(only), matches)
      for (const pod of claims.release) owned(pod, pod.metadata.ownerReferences?.filter(({ uid }) => uid !== object.metadata.uid) ?? [])
      if (doomed.has(object.metadata.uid)) return claims.kept
      return [
        ...claims.kept,
        ...claims.adopt.map((pod) => owned(pod, [...(pod.metadata.ownerReferences ?? []), controllerRef(kind, object)])),
      ]
    },
    async create(owner, wanted) {
      const { done, error } = await inBursts(wanted, async (pod) => make(owner, pod))
      return { pods: done, ...(error !== undefined && !isNamespaceTerminating(error) && { error }) }
    },
    async delete(owner, doomedPods) {
      for (const { metadata } of doomedPods) {
        if (pods.get(metadata.name)?.metadata.uid !== metadata.uid) continue
        pods.delete(metadata.name)
        told.push(`SuccessfulDelete ${words.deleted(owner, metadata.name)}`)
      }
      return { pods: [...doomedPods] }
    },
  }
  return fake
}
