// One change of one object, as watches see it.

import type { StoreEvent } from '../store/store.ts'
import { encode, Item } from './item.ts'

export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED'

export class Change {
  readonly type: ChangeType
  readonly revision: number
  /** The object after the change; for DELETED its last state, at the revision of the deletion. */
  readonly item: Item
  readonly previous: Item | undefined
  readonly #lines = new Map<ChangeType, Uint8Array>()
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
    return new Change('DELETED', event.revision, stampedAt(previous, event.revision), previous)
  }

  /** The state before this change, at its revision: what a watch is told whose selector no longer matches. */
  get left(): Item {
    this.#gone ??= this.type === 'DELETED' ? this.item : stampedAt(this.previous ?? this.item, this.revision)
    return this.#gone
  }

  /** The line of a JSON watch, encoded once for all watchers. */
  line(type: ChangeType): Uint8Array {
    let line = this.#lines.get(type)
    if (!line) {
      line = watchLine(type, type === 'DELETED' ? this.left.bytes : this.item.bytes)
      this.#lines.set(type, line)
    }
    return line
  }
}

const stampedAt = (item: Item, revision: number): Item =>
  new Item({ key: item.key, value: encode(item.object, revision), createRevision: item.createRevision, modRevision: revision })

const tail = Buffer.from('}\n')

export const watchLine = (type: string, object: Uint8Array): Uint8Array =>
  Buffer.concat([Buffer.from(`{"type":"${type}","object":`), object, tail])
