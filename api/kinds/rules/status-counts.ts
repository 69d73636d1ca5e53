// Rules for the counts that controllers report of what they keep: none is negative, and no part is larger
// than the whole (pkg/apis/*/validation of statuses).

import type { ObjectMeta } from '../../types/meta-v1.gen.ts'
import type { Faults } from './faults.ts'

type Status = Readonly<Record<string, unknown>>
/** The status of an object, which is none of these before its controller has seen it. */
type Reported = { metadata: ObjectMeta; status?: object | undefined }

export function validateCounts({ status }: Reported, names: readonly string[], faults: Faults): void {
  for (const name of names) faults.notNegative(`status.${name}`, count(status, name))
}

/** Of pods: `parts` are within `replicas`, and what is available is ready. `ready` is what the message calls that. */
export function validateReplicaCounts(object: Reported, parts: readonly string[], ready: string, faults: Faults): void {
  validateCounts(object, ['replicas', ...parts, 'observedGeneration', 'terminatingReplicas', 'collisionCount'], faults)
  const { status } = object
  const all = Math.max(count(status, 'replicas') ?? 0, 0)
  for (const name of parts) {
    const part = count(status, name) ?? 0
    if (part > all) faults.invalid(`status.${name}`, part, 'cannot be greater than status.replicas')
  }
  const available = count(status, 'availableReplicas') ?? 0
  if (available > (count(status, 'readyReplicas') ?? 0))
    faults.invalid('status.availableReplicas', available, `cannot be greater than ${ready}`)
}

const count = (status: object | undefined, name: string) => (status as Status | undefined)?.[name] as number | undefined
