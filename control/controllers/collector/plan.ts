// What is to become of one object, given what its owners and its dependents are. Pure.

import type { OwnerReference } from '#api/types/meta-v1.gen.ts'
import { awaitsDependents, type Graph, orphansDependents, type Thing } from './graph.ts'

/** `solid`: exists and stays. `waiting`: goes once its dependents are gone. `gone`: no such object, or another of that name. */
export type OwnerState = 'solid' | 'waiting' | 'gone'

export type Verdict =
  | { do: 'nothing' }
  | { do: 'delete'; policy: 'Foreground' | 'Background' | 'Orphan' }
  /** Forget these owners: others keep it. */
  | { do: 'disown'; owners: readonly OwnerReference[] }
  /** Nothing holds it back any more: drop this finalizer. */
  | { do: 'release'; finalizer: 'foregroundDeletion' | 'orphan' }
  /** Its dependents are to live on without it. */
  | { do: 'orphan' }
  /** Its dependents must go first: look at them. */
  | { do: 'await'; dependents: readonly Thing[] }

export function judge(thing: Thing, owners: ReadonlyMap<string, OwnerState>, graph: Graph): Verdict {
  if (orphansDependents(thing)) return { do: 'orphan' }
  if (awaitsDependents(thing)) {
    const blocking = graph.blockersOf(thing.uid)
    const free = blocking.length === 0 || graph.isInClosedCircle(thing)
    return free ? { do: 'release', finalizer: 'foregroundDeletion' } : { do: 'await', dependents: blocking }
  }
  if (thing.deleting || thing.owners.length === 0) return { do: 'nothing' }

  const stateOf = ({ uid }: OwnerReference) => owners.get(uid) ?? 'solid'
  const lost = thing.owners.filter((ref) => stateOf(ref) !== 'solid')
  if (lost.length === 0) return { do: 'nothing' }
  if (lost.length < thing.owners.length) return { do: 'disown', owners: lost }
  // The owner waits for us, and we for ours.
  if (lost.some((ref) => stateOf(ref) === 'waiting') && graph.hasDependents(thing.uid)) return { do: 'delete', policy: 'Foreground' }
  if (thing.finalizers.includes('orphan')) return { do: 'delete', policy: 'Orphan' }
  return { do: 'delete', policy: thing.finalizers.includes('foregroundDeletion') ? 'Foreground' : 'Background' }
}
