// Which fields differ between two objects of one kind: what an update's author comes to own.

import { isDeepStrictEqual } from 'node:util'
import { atOnce, type Steps } from '../../breather.ts'
import { mostFields, mostMembers, tooLarge, tooWide } from '../../schema/bounds.ts'
import type { JsonObject } from '../../schema/decode.ts'
import type { List, Schema, Struct } from '../../schema/schema.ts'
import { childSchema, fieldElement, isLeaf, itemsByElement } from './element.ts'
import { type Fields, FieldsBuilder, isEmpty, pathsOf } from './fields.ts'
import { Later } from './later.ts'

export type Comparison = { readonly added: Fields; readonly removed: Fields; readonly modified: Fields }

/** Nobody owns these: the system sets them, or they say which object it is. */
const unowned = new Set([
  'name',
  'namespace',
  'creationTimestamp',
  'selfLink',
  'uid',
  'clusterName',
  'generation',
  'managedFields',
  'resourceVersion',
])

/** As comparing, at once. */
export const compare = (schema: Struct, before: JsonObject, after: JsonObject): Comparison => atOnce(comparing(schema, before, after))

/** Both decoded; without the fields that nobody owns. Throws RequestEntityTooLarge where there are more of them than may be, and than were. */
export function* comparing(schema: Struct, before: JsonObject, after: JsonObject): Steps<Comparison> {
  const walk = new Walk()
  for (const name of keysOf(before, after)) {
    const field = childSchema(schema, name)
    if (name === 'apiVersion' || name === 'kind' || !field) continue
    if (name !== 'metadata') walk.child(field, fieldElement(name), own(before, name), own(after, name))
    else walk.metadata(field, (before.metadata ?? {}) as JsonObject, (after.metadata ?? {}) as JsonObject)
  }
  while (walk.goOn()) yield
  if (walk.after > mostFields && walk.after > walk.before) throw tooLarge(`${walk.after} fields, limit is ${mostFields}`)
  return { added: walk.added.fields, removed: walk.removed.fields, modified: walk.modified.fields }
}

export const isSame = ({ added, removed, modified }: Comparison): boolean => isEmpty(added) && isEmpty(removed) && isEmpty(modified)

class Walk {
  readonly added = new FieldsBuilder()
  readonly removed = new FieldsBuilder()
  readonly modified = new FieldsBuilder()
  /** Fields that were there, and that there are now. */
  before = 0
  after = 0
  #path: string[] = []
  readonly #later = new Later()

  /** False once all was looked at. */
  goOn(): boolean {
    const next = this.#later.next()
    if (!next) return false
    this.#path = next.path
    next.step()
    return true
  }

  metadata(schema: Schema, before: JsonObject, after: JsonObject): void {
    this.#path.push('f:metadata')
    for (const name of keysOf(before, after)) {
      const field = childSchema(schema, name)
      if (field && !unowned.has(name)) this.child(field, fieldElement(name), own(before, name), own(after, name))
    }
    this.#path.pop()
  }

  child(schema: Schema, element: string, before: unknown, after: unknown): void {
    this.#later.count()
    if (before !== undefined) this.before += 1
    if (after !== undefined) this.after += 1
    if (before === after) return
    this.#path.push(element)
    this.#value(schema, before, after)
    this.#path.pop()
  }

  #value(schema: Schema, before: unknown, after: unknown): void {
    // An empty map or list is a leaf: that keeps "empty" and "absent" apart.
    if (isLeaf(schema, before, after) || (before !== undefined && after !== undefined && isBare(before) && isBare(after))) {
      if (before === undefined) this.added.add(this.#path)
      else if (after === undefined) this.removed.add(this.#path)
      else if (!isDeepStrictEqual(before, after)) this.modified.add(this.#path)
      return
    }
    if (before === undefined) this.added.add(this.#path)
    else if (after === undefined) this.removed.add(this.#path)
    if (schema.kind === 'list') this.#items(schema, (before ?? []) as unknown[], (after ?? []) as unknown[])
    else this.#members(schema, (before ?? {}) as JsonObject, (after ?? {}) as JsonObject)
  }

  #members(schema: Schema, before: JsonObject, after: JsonObject): void {
    this.#each(schema, before, after, keysOf(before, after), 0)
  }

  #each(schema: Schema, before: JsonObject, after: JsonObject, keys: readonly string[], from: number): void {
    for (let at = from; at < keys.length; at += 1) {
      if (this.#later.isDue) {
        this.#postpone(() => this.#each(schema, before, after, keys, at))
        return
      }
      const key = keys[at] as string
      const child = childSchema(schema, key)
      if (child) this.child(child, fieldElement(key), own(before, key), own(after, key))
    }
  }

  #postpone(step: () => void): void {
    this.#later.push({ path: [...this.#path], at: '', step })
  }

  #items(schema: List, before: unknown[], after: unknown[]): void {
    if (after.length > mostMembers && after.length > before.length) {
      const at = new FieldsBuilder()
      at.add(this.#path)
      throw tooWide(pathsOf(at.fields)[0] ?? '', after.length)
    }
    const left = itemsByElement(schema, before)
    const right = itemsByElement(schema, after)
    this.#eachItem(schema, left, right, [...new Set([...left.keys(), ...right.keys()])], 0)
  }

  #eachItem(schema: List, left: Map<string, unknown[]>, right: Map<string, unknown[]>, elements: readonly string[], from: number): void {
    for (let at = from; at < elements.length; at += 1) {
      if (this.#later.isDue) {
        this.#postpone(() => this.#eachItem(schema, left, right, elements, at))
        return
      }
      const element = elements[at] as string
      const [old, next] = [left.get(element), right.get(element)]
      if ((old?.length ?? 0) > 1 || (next?.length ?? 0) > 1) this.#duplicates(element, old, next)
      else this.child(schema.items, element, old?.[0], next?.[0])
    }
  }

  /** Items with the same key are one leaf. */
  #duplicates(element: string, before: unknown[] | undefined, after: unknown[] | undefined): void {
    const into = before ? (after ? this.modified : this.removed) : this.added
    if (!isDeepStrictEqual(before, after)) into.add([...this.#path, element])
  }
}

function isBare(value: unknown): boolean {
  return value === null || (typeof value === 'object' && isEmpty(value as Fields))
}

const own = (object: JsonObject, key: string): unknown => (Object.hasOwn(object, key) ? object[key] : undefined)

function keysOf(before: JsonObject, after: JsonObject): readonly string[] {
  const keys = Object.keys(before)
  if (keys.length === 0) return Object.keys(after)
  const more = Object.keys(after).filter((key) => !Object.hasOwn(before, key))
  return more.length ? [...keys, ...more] : keys
}
