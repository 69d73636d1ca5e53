// JSON patch (RFC 6902) as the API server applies it: all or nothing, and bounded, since a few `copy`
// operations can make a small patch double an object thousands of times.

import { applyPatch as applyOperation, type Operation } from 'rfc6902'
import { StatusError } from '../errors.ts'
import { isObject, type JsonObject } from '../schema/decode.ts'

const maxOperations = 10_000
/** Of all that `copy` adds, in characters of JSON: Kubernetes' limit of a request body. */
const maxCopied = 3 * 1024 * 1024

/** A new object. Throws BadRequest, RequestEntityTooLarge, or Invalid where an operation (a `test`, a missing path) fails. */
export function jsonPatch(original: JsonObject, patch: unknown): JsonObject {
  const operations = check(patch)
  const result = structuredClone(original)
  let copied = 0
  for (const operation of operations) {
    if (operation.op === 'copy') {
      copied += JSON.stringify(valueAt(result, operation.from.split('/').slice(1)) ?? null).length
      if (copied > maxCopied)
        throw failed(`Unable to complete the copy, the accumulated size increase of copy is ${copied}, exceeding the limit ${maxCopied}`)
    }
    const from = 'from' in operation ? operation.from : undefined
    if (operation.path === '' || from === '') throw failed('the whole object cannot be replaced')
    if (!reaches(result, operation.path) || (from !== undefined && !reaches(result, from))) throw failed(explain(operation, 'MissingError'))
    const [error] = applyOperation(result, [operation])
    if (error) throw failed(explain(operation, error.name))
  }
  return result
}

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
  for (const operation of patch) {
    if (!isObject(operation) || typeof operation.op !== 'string' || !names.has(operation.op)) {
      throw failed(`Unexpected kind: ${isObject(operation) ? String(operation.op) : 'unknown'}`)
    }
    if (!isPointer(operation.path)) throw failed(`${operation.op} operation has no valid path`)
    if ((operation.op === 'move' || operation.op === 'copy') && !isPointer(operation.from)) {
      throw failed(`${operation.op} operation has no valid from path`)
    }
  }
  // Where it means nothing, a `from` may be anything.
  return (patch as (Operation & { from?: unknown })[]).map((each): Operation => {
    if (each.op === 'move' || each.op === 'copy') return each
    const { from: _, ...plain } = each
    return plain
  })
}

const isPointer = (path: unknown): path is string => typeof path === 'string' && (path === '' || path.startsWith('/'))

/** Whether the way to the pointer's parent leads over the object's own members: never through a prototype. */
function reaches(object: unknown, pointer: string): boolean {
  const tokens = pointer.split('/').slice(1, -1)
  return valueAt(object, tokens) !== undefined
}

function valueAt(object: unknown, tokens: string[]): unknown {
  let value: unknown = object
  for (const escaped of tokens) {
    const token = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, token)) return undefined
    value = (value as JsonObject)[token]
  }
  return value
}

function explain(operation: Operation, error: string): string {
  if (operation.op === 'test') return `testing value ${operation.path} failed`
  const missing = error === 'MissingError' ? 'missing value' : 'invalid operation'
  return `${operation.op} operation does not apply: doc is missing path: "${operation.path}": ${missing}`
}

/** 422, with what failed among the causes, as the API server answers it. */
const failed = (message: string): StatusError =>
  new StatusError('Invalid', 'the server rejected our request due to an error in our request', {
    causes: [{ reason: 'UnexpectedServerResponse', message }],
  })
