// What an applier says: the fields that its configuration names, and the object that it makes of the live one.

import { atOnce, type Steps } from '../../breather.ts'
import { StatusError } from '../../errors.ts'
import { isObject, type JsonObject, put } from '../../schema/decode.ts'
import { parseExact } from '../../schema/exact.ts'
import type { List, Schema, Struct } from '../../schema/schema.ts'
import { childSchema, fieldElement, isLeaf, itemElement } from './element.ts'
import { difference, type Fields, FieldsBuilder } from './fields.ts'
import { Later } from './later.ts'

/** Identity and what the system sets: named in every configuration, owned by nobody. */
const unowned: Fields = {
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    '.': {},
    'f:name': {},
    'f:namespace': {},
    'f:creationTimestamp': {},
    'f:selfLink': {},
    'f:uid': {},
    'f:clusterName': {},
    'f:generation': {},
    'f:managedFields': {},
    'f:resourceVersion': {},
  },
}

/** As namedFields, at once. */
export const fieldsOf = (schema: Struct, config: JsonObject): Fields => atOnce(namedFields(schema, config))

/** The set of fields of a configuration as it was sent. Throws BadRequest for what the schema does not know. */
export function* namedFields(schema: Struct, config: JsonObject): Steps<Fields> {
  const walk = new Walk()
  walk.value(schema, config)
  while (walk.goOn()) yield
  if (walk.faults.length) {
    const what = `${nameOf(config)}; ${text(config.apiVersion)}, Kind=${text(config.kind)}`
    const [first] = walk.faults
    const why = walk.faults.length === 1 ? first : `errors:\n  ${walk.faults.join('\n  ')}`
    throw new StatusError('BadRequest', `failed to create typed patch object (${what}): ${why}`)
  }
  return difference(walk.found.fields, unowned)
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

function nameOf({ metadata }: JsonObject): string {
  const { namespace, name } = isObject(metadata) ? metadata : {}
  return namespace ? `${text(namespace)}/${text(name)}` : text(name)
}

class Walk {
  readonly found = new FieldsBuilder()
  readonly faults: string[] = []
  #path: string[] = []
  /** The path as Kubernetes spells it. */
  #at = ''
  readonly #later = new Later()

  /** False once all was looked at. */
  goOn(): boolean {
    const next = this.#later.next()
    if (!next) return false
    this.#path = next.path
    this.#at = next.at
    next.step()
    return true
  }

  value(schema: Schema, value: unknown): void {
    if (isLeaf(schema, value) || typeof value !== 'object' || value === null) {
      this.found.add(this.#path)
      return
    }
    if (Array.isArray(value) !== (schema.kind === 'list')) {
      this.faults.push(`${this.#at}: expected ${schema.kind === 'list' ? 'list' : 'map'}, got ${JSON.stringify(value)}`)
      return
    }
    const empty = Object.keys(value).length === 0
    if (empty && this.#path.length) this.found.add(this.#path)
    else if (Array.isArray(value)) this.#items(schema as List, value)
    else this.#members(schema, value as JsonObject)
  }

  #members(schema: Schema, object: JsonObject): void {
    this.#each(schema, object, Object.keys(object), 0)
  }

  #each(schema: Schema, object: JsonObject, keys: readonly string[], from: number): void {
    for (let i = from; i < keys.length; i += 1) {
      if (this.#later.isDue) {
        this.#postpone(() => this.#each(schema, object, keys, i))
        return
      }
      const key = keys[i] as string
      const child = childSchema(schema, key)
      if (child) this.#child(child, fieldElement(key), `.${key}`, object[key])
      else this.faults.push(`${this.#at}.${key}: field not declared in schema`)
    }
  }

  #postpone(step: () => void): void {
    this.#later.push({ path: [...this.#path], at: this.#at, step })
  }

  #items(schema: List, items: unknown[]): void {
    this.#eachItem(schema, items, 0, new Set())
  }

  #eachItem(schema: List, items: readonly unknown[], from: number, seen: Set<string>): void {
    for (let i = from; i < items.length; i += 1) {
      if (this.#later.isDue) {
        this.#postpone(() => this.#eachItem(schema, items, i, seen))
        return
      }
      const item = items[i]
      const element = itemElement(schema, item)
      if (element === undefined) {
        const missing = schema.keys.find((key) => !isObject(item) || item[key] === undefined) ?? ''
        this.faults.push(
          `${this.#at}: element ${seen.size}: associative list with keys has an element that omits key field ${JSON.stringify(missing)} (and doesn't have default value)`,
        )
        continue
      }
      const spelled = element.startsWith('v:') ? `[=${element.slice(2)}]` : spellKeys(element)
      if (seen.has(element)) this.faults.push(`${this.#at}: duplicate entries for key ${spelled}`)
      seen.add(element)
      this.found.add([...this.#path, element])
      if (schema.type === 'map') this.#child(schema.items, element, spelled, item)
      else this.#later.count()
    }
  }

  #child(schema: Schema, element: string, step: string, value: unknown): void {
    this.#later.count()
    const outer = this.#at
    this.#at += step
    this.#path.push(element)
    this.value(schema, value)
    this.#path.pop()
    this.#at = outer
  }
}

const spellKeys = (element: string): string => {
  const keys = Object.entries(parseExact(element.slice(2)) as JsonObject)
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
}

/** `live` with the configuration's values: maps and keyed lists merge, all else is replaced. Shares with both. */
export function merge(schema: Schema | undefined, live: unknown, config: unknown): unknown {
  if (config === undefined) return live
  if (live === undefined || live === null || config === null || !schema || isLeaf(schema, live, config)) return config
  if (schema.kind === 'list') return Array.isArray(live) && Array.isArray(config) ? mergeItems(schema, live, config) : config
  if (!isObject(live) || !isObject(config)) return config
  const result = { ...live }
  for (const key of Object.keys(config)) {
    put(result, key, merge(childSchema(schema, key), Object.hasOwn(live, key) ? live[key] : undefined, config[key]))
  }
  return result
}

/** Items of both sides come in the configuration's order; those of the live list alone stay where they are among them. */
function mergeItems(schema: List, live: unknown[], config: unknown[]): unknown[] {
  const applied = new Map(config.map((item) => [itemElement(schema, item), item]))
  const left = live.map((item) => ({ element: itemElement(schema, item), item }))
  const present = new Map(left.map(({ element, item }) => [element, item]))
  const result: unknown[] = []
  let next = 0
  for (const [element, item] of applied) {
    for (let at = left[next]; at && !applied.has(at.element); at = left[next]) {
      result.push(at.item)
      next += 1
    }
    if (present.has(element)) next += 1
    result.push(schema.type === 'map' ? merge(schema.items, present.get(element), item) : item)
  }
  for (const { element, item } of left.slice(next)) if (!applied.has(element)) result.push(item)
  return result
}
