// The objects of one kind as last heard, with indexes. Objects are frozen: the cache is shared by
// everyone in the process.

import type { Ref } from '../client/client.ts'
import { type KubeObject, keyOf } from '../kinds/kind.ts'
import type { Index } from './indexes.ts'

type Table<T> = Map<string, Map<string, T>>

export class Cache<T extends KubeObject> {
  readonly #objects = new Map<string, T>()
  readonly #tables = new Map<Index<T>, Table<T>>()

  get size(): number {
    return this.#objects.size
  }

  get(key: string | Ref): T | undefined {
    return this.#objects.get(typeof key === 'string' ? key : keyOf(key))
  }

  values(): MapIterator<T> {
    return this.#objects.values()
  }

  by(index: Index<T>, value: string): T[] {
    const table = this.#tables.get(index) ?? this.#build(index)
    return [...(table.get(value)?.values() ?? [])]
  }

  /** Returns what was there. */
  set(object: T): T | undefined {
    const key = keyOf(object.metadata)
    const old = this.#objects.get(key)
    this.#objects.set(key, object)
    for (const [index, table] of this.#tables) {
      if (old) remove(table, index(old), key)
      insert(table, index(object), key, object)
    }
    return old
  }

  delete(key: string): T | undefined {
    const old = this.#objects.get(key)
    if (!old) return undefined
    this.#objects.delete(key)
    for (const [index, table] of this.#tables) remove(table, index(old), key)
    return old
  }

  #build(index: Index<T>): Table<T> {
    const table: Table<T> = new Map()
    for (const [key, object] of this.#objects) insert(table, index(object), key, object)
    this.#tables.set(index, table)
    return table
  }
}

function insert<T>(table: Table<T>, values: readonly string[], key: string, object: T): void {
  for (const value of values) {
    const row = table.get(value)
    if (row) row.set(key, object)
    else table.set(value, new Map([[key, object]]))
  }
}

function remove<T>(table: Table<T>, values: readonly string[], key: string): void {
  for (const value of values) {
    const row = table.get(value)
    row?.delete(key)
    if (row?.size === 0) table.delete(value)
  }
}

/** Freezes `object` and all it holds. What is frozen at the top is taken as frozen throughout. */
export function freeze<T>(object: T): T {
  if (typeof object !== 'object' || object === null || Object.isFrozen(object)) return object
  for (const value of Object.values(object)) freeze(value)
  return Object.freeze(object)
}
