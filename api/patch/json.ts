// JSON patch (RFC 6902) as the API server applies it: all or nothing, and bounded, since a few `copy`
// operations can make a small patch double an object thousands of times.

import { isDeepStrictEqual } from 'node:util'
import { atOnce, type Steps } from '../breather.ts'
import { StatusError } from '../errors.ts'
import { isObject, type JsonObject, put } from '../schema/decode.ts'
import { Written } from '../schema/exact.ts'

const maxOperations = 10_000
/** Of all that `copy` adds, in characters of JSON: Kubernetes' limit of a request body. */
const maxCopied = 3 * 1024 * 1024
/** Items of lists that make room for others or close up, in all: some milliseconds' worth. */
const maxMoved = 50_000_000

type Operation =
  | { op: 'add' | 'replace' | 'test'; path: string; value: unknown }
  | { op: 'remove'; path: string }
  | { op: 'move' | 'copy'; path: string; from: string }

/** As jsonPatching, at once. */
export const jsonPatch = (original: JsonObject, patch: unknown): JsonObject => atOnce(jsonPatching(original, patch))

/** A new object. Throws BadRequest, RequestEntityTooLarge, or Invalid where an operation (a `test`, a missing path) fails. */
export function* jsonPatching(original: JsonObject, patch: unknown): Steps<JsonObject> {
  const operations = check(patch)
  const result = structuredClone(original)
  let copied = 0
  let moved = 0
  for (const operation of operations) {
    yield
    if (operation.path === '' || ('from' in operation && operation.from === '')) throw failed('the whole object cannot be replaced')
    if (operation.op === 'copy') {
      copied += JSON.stringify(valueAt(result, tokensOf(operation.from)) ?? null).length
      if (copied > maxCopied)
        throw failed(`Unable to complete the copy, the accumulated size increase of copy is ${copied}, exceeding the limit ${maxCopied}`)
    }
    for (const pointer of pointersOf(operation)) {
      const list = valueAt(result, tokensOf(pointer).slice(0, -1))
      moved += Array.isArray(list) ? list.length : 0
    }
    if (moved > maxMoved) throw new StatusError('RequestEntityTooLarge', `the JSON patch moves more than ${maxMoved} items of lists`)
    if (!apply(result, operation)) throw failed(explain(operation))
  }
  return result
}

/** Where an operation may make a list longer or shorter. */
function pointersOf(operation: Operation): string[] {
  if (operation.op === 'test' || operation.op === 'replace') return []
  return operation.op === 'move' ? [operation.path, operation.from] : [operation.path]
}

/** False where there is nothing at a path, or something else than a test says. */
function apply(object: JsonObject, operation: Operation): boolean {
  const tokens = tokensOf(operation.path)
  switch (operation.op) {
    case 'test':
      return isDeepStrictEqual(valueAt(object, tokens), operation.value)
    case 'add':
      return add(object, tokens, copyOf(operation.value))
    case 'replace':
      return valueAt(object, tokens) !== undefined && replace(object, tokens, copyOf(operation.value))
    case 'remove':
      return remove(object, tokens)
    default: {
      const value = valueAt(object, tokensOf(operation.from))
      if (value === undefined) return false
      if (operation.op === 'copy') return add(object, tokens, copyOf(value))
      // Nothing can come to be within itself: its place is gone before it is looked for.
      return remove(object, tokensOf(operation.from)) && add(object, tokens, value)
    }
  }
}

/** Numbers stay as they were written. */
function copyOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Written) return value
  if (Array.isArray(value)) return value.map(copyOf)
  const copy: JsonObject = {}
  for (const key of Object.keys(value)) put(copy, key, copyOf((value as JsonObject)[key]))
  return copy
}

function add(object: JsonObject, tokens: readonly string[], value: unknown): boolean {
  const parent = valueAt(object, tokens.slice(0, -1))
  const token = tokens.at(-1) ?? ''
  if (Array.isArray(parent)) {
    const at = token === '-' ? parent.length : indexIn(token)
    if (at === undefined || at > parent.length) return false
    parent.splice(at, 0, value)
    return true
  }
  if (!isObject(parent) || parent instanceof Written) return false
  put(parent, token, value)
  return true
}

function replace(object: JsonObject, tokens: readonly string[], value: unknown): boolean {
  const parent = valueAt(object, tokens.slice(0, -1)) as JsonObject
  put(parent, tokens.at(-1) ?? '', value)
  return true
}

function remove(object: JsonObject, tokens: readonly string[]): boolean {
  if (valueAt(object, tokens) === undefined) return false
  const parent = valueAt(object, tokens.slice(0, -1))
  const token = tokens.at(-1) ?? ''
  if (Array.isArray(parent)) parent.splice(Number(token), 1)
  else delete (parent as JsonObject)[token]
  return true
}

const indexIn = (token: string): number | undefined => (/^(0|[1-9]\d{0,9})$/.test(token) ? Number(token) : undefined)

const names = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test'])

function check(patch: unknown): Operation[] {
  if (!Array.isArray(patch))
    throw new StatusError('BadRequest', 'error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch')
  if (patch.length > maxOperations) {
    throw new StatusError(
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    )
  }
  for (const operation of patch as unknown[]) {
    if (!isObject(operation) || typeof operation.op !== 'string' || !names.has(operation.op)) {
      throw failed(`Unexpected kind: ${isObject(operation) ? String(operation.op) : 'unknown'}`)
    }
    if (!isPointer(operation.path)) throw failed(`${operation.op} operation has no valid path`)
    if ((operation.op === 'move' || operation.op === 'copy') && !isPointer(operation.from)) {
      throw failed(`${operation.op} operation has no valid from path`)
    }
  }
  return (patch as (Operation & JsonObject)[]).map((each): Operation => {
    const { op, path } = each
    if (op === 'move' || op === 'copy') return { op, path, from: each.from }
    if (op === 'remove') return { op, path }
    if (!Object.hasOwn(each, 'value')) throw failed(`${op} operation has no value`)
    return { op, path, value: each.value }
  })
}

const isPointer = (path: unknown): path is string => typeof path === 'string' && (path === '' || path.startsWith('/'))

const tokensOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))

/** Over the object's own members only, never through a prototype. */
function valueAt(object: unknown, tokens: readonly string[]): unknown {
  let value: unknown = object
  for (const token of tokens) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined
    if (Array.isArray(value) && indexIn(token) === undefined) return undefined
    value = (value as JsonObject)[token]
  }
  return value
}

function explain({ op, path }: Operation): string {
  if (op === 'test') return `testing value ${path} failed`
  return `${op} operation does not apply: doc is missing path: "${path}": missing value`
}

/** 422, with what failed among the causes, as the API server answers it. */
const failed = (message: string): StatusError =>
  new StatusError('Invalid', 'the server rejected our request due to an error in our request', {
    causes: [{ reason: 'UnexpectedServerResponse', message }],
  })
