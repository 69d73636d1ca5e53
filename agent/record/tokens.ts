// Service account tokens on the record: all in one file, since those of one node are renewed about together.

import type { KeptTokens } from '../volumes/tokens.ts'
import type { AgentRecord } from './record.ts'

const NAME = 'tokens'

type Kept = { [uid: string]: { [key: string]: string } }

export function keptTokens(record: AgentRecord): KeptTokens {
  const kept = new Map(
    Object.entries((record.take(NAME) as Kept | undefined) ?? {}).map(([uid, own]) => [uid, new Map(Object.entries(own))]),
  )
  const keep = () => record.set(NAME, () => Object.fromEntries([...kept].map(([uid, own]) => [uid, Object.fromEntries(own)])))
  return {
    recall: (uid, key) => kept.get(uid)?.get(key),
    keep(uid, key, token) {
      kept.set(uid, (kept.get(uid) ?? new Map<string, string>()).set(key, token))
      keep()
    },
    forget(uid) {
      if (kept.delete(uid)) keep()
    },
  }
}
