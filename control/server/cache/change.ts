// One change of one object, as watches see it.

import type { StoreEvent } from '../../store/store.ts'
import { Item } from './item.ts'

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED'
/** How a watch is told of a change, in the encoding of its client. The same function for all clients with that encoding. */
export type Telling = (type: ChangeType, item: Item) => Uint8Array

export class Change {
  readonly type: ChangeType
  readonly revision: number
  /** The object after the change; for DELETED its last state, at the revision of the deletion. */
  readonly item: Item
  readonly previous: Item | undefined
  /** Weakly: while its watchers are told. Who comes for it later, out of the history, has it encoded once more. */
  readonly #told = new Map<Telling, Map<ChangeType, WeakRef<Uint8Array>>>()
  #gone: Item | undefined

  constructor(type: ChangeType, revision: number, item: Item, previous: Item | undefined) {
    this.type = type
    this.revision = revision
    this.item = item
    this.previous = previous
  }

  static from(event: StoreEvent): Change {
    if (event.type === 'put') {
      const previous = event.previous && new Item(event.previous)
      return new Change(previous ? 'MODIFIED' : 'ADDED', event.entry.modRevision, new Item(event.entry), previous)
    }
    const previous = new Item(event.previous)
    return new Change('DELETED', event.revision, previous.at(event.revision), previous)
  }

  /** The state before this change, at its revision: what a watch is told whose selector no longer matches. */
  get left(): Item {
    this.#gone ??= this.type === 'DELETED' ? this.item : (this.previous ?? this.item).at(this.revision)
    return this.#gone
  }

  /** What watchers are sent, encoded once for all that are told together. */
  told(telling: Telling, type: ChangeType): Uint8Array {
    let told = this.#told.get(telling)
    if (!told) this.#told.set(telling, (told = new Map()))
    const known = told.get(type)?.deref()
    if (known) return known
    const bytes = telling(type, type === 'DELETED' ? this.left : this.item)
    told.set(type, new WeakRef(bytes))
    return bytes
  }
}

const tail = Buffer.from('}\n')

/** The line of a JSON watch. */
export const jsonLine: Telling = (type, item) => watchLine(type, item.bytes)

export const watchLine = (type: string, object: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, tail])
