// Sets and maps, as they are declared.

import type { Field } from './selector.ts'

export type SetFlag = 'constant' | 'interval' | 'timeout' | 'dynamic'

export type SetSpec = {
  readonly name: string
  /** More than one field: a concatenation. */
  readonly key: readonly Field[]
  /** Makes it a map. */
  readonly data?: readonly Field[] | 'verdict'
  readonly flags?: readonly SetFlag[]
  /** The elements' timeout unless they have their own; needs the flag `timeout`. */
  readonly timeoutMs?: number
  /** The most elements it takes; more are refused with ENFILE. */
  readonly size?: number
}

export type Sets = ReadonlyMap<string, SetSpec>
