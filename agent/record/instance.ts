// This machine's id among those that have had its node's name, kept for good.

import type { Instance } from '../node/instance.ts'
import type { AgentRecord } from './record.ts'

const NAME = 'instance'

type Kept = { id: string; taken: boolean }

export function keptInstance(record: AgentRecord, newID: () => string): Instance {
  const kept = (record.take(NAME) as Kept | undefined) ?? { id: newID(), taken: false }
  const keep = () => record.set(NAME, () => ({ ...kept }))
  keep()
  return {
    id: kept.id,
    get taken() {
      return kept.taken
    },
    took() {
      if (kept.taken) return
      kept.taken = true
      keep()
    },
  }
}
