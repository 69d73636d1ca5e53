// Reading request bodies: bounded, and in every encoding that clients send.

import type { Readable } from 'node:stream'
import { breather, gently } from '#api/breather.ts'
import { StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import { decode, isObject, type JsonObject } from '#api/schema/decode.ts'
import type { Floats } from '#api/schema/exact.ts'
import { parsingJson, type ReadOptions } from '#api/schema/json.ts'
import { decodeProtobuf } from '#api/schema/protobuf.ts'
import type { Struct } from '#api/schema/schema.ts'
import { convertYaml } from './yaml.ts'

/** Kubernetes' own limit. */
const mostBytes = 3 * 1024 * 1024
/** A client over HTTP/1.1 reads no answer before it has sent its body: one that says how long it is may, up to here. */
const mostDiscarded = 64 * 1024 * 1024
/** Whoever sends slower holds a request open for nothing. */
const bodyWithinMs = 60_000

export type Body = {
  value: unknown
  /** Keys that came twice, in words, for strict validation. */
  faults: string[]
  /** Of JSON, where they are asked for, and are. */
  floats?: Floats
}

const plain = ['application/json', 'application/yaml']
const spoken = [...plain, 'application/vnd.kubernetes.protobuf']

/**
 * What a body says; `plain`: protobuf is not understood, as there is no message for the kind.
 * Throws UnsupportedMediaType, BadRequest and RequestEntityTooLarge.
 */
export async function readBody(request: Incoming, options: Omit<ReadOptions, 'failure'> & { plain?: boolean } = {}): Promise<Body> {
  const type = mediaType(request.headers.get('content-type'))
  const accepted = options.plain ? plain : spoken
  if (!accepted.includes(type)) {
    throw new StatusError(
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
    )
  }
  const bytes = await readBytes(request)
  if (bytes.length === 0) return { value: undefined, faults: [] }
  if (type === 'application/yaml') return await parseYaml(bytes)
  if (type === 'application/json') return await readJson(bytes, options)
  const breathe = breather()
  const value = decodeProtobuf(bytes)
  await breathe()
  return { value, faults: [] }
}

/** Resolves where it took long once others had their turn. */
export async function readJson(bytes: string | Uint8Array, options: ReadOptions): Promise<Body> {
  const breathe = breather()
  const { value, duplicates, floats } = await gently(parsingJson(bytes, options), breathe)
  await breathe()
  return { value, ...(floats && { floats }), faults: duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`) }
}

/** `application/json` where nothing is said. */
export const mediaType = (header: string | null): string =>
  header ? (header.split(';')[0] ?? '').trim().toLowerCase() : 'application/json'

/** Refuses a body that is too large; once that is known, nothing of it is kept. */
export async function readBytes({ headers, body }: Incoming): Promise<Uint8Array> {
  const declared = Number(headers.get('content-length') ?? 0)
  if (declared > mostDiscarded) throw tooLarge()
  if (!body) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let size = 0
  const take = (chunk: Uint8Array) => {
    size += chunk.length
    if (size <= mostBytes) chunks.push(chunk)
    else chunks.length = 0
    return size <= Math.max(declared, mostBytes)
  }
  await readAll(body, take)
  if (size > mostBytes) throw tooLarge()
  return chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks)
}

/** Hands on every chunk until one is answered with false. */
function readAll(body: Readable, take: (chunk: Uint8Array) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = () => stop(new StatusError('Timeout', `the request body did not arrive within ${bodyWithinMs / 1000} seconds`))
    const timer = setTimeout(late, bodyWithinMs)
    const stop = (error?: Error) => {
      clearTimeout(timer)
      body.off('data', onData).off('end', stop).off('error', gone).off('close', gone)
      if (error) reject(error)
      else resolve()
    }
    const gone = () => stop(new StatusError('BadRequest', 'the client went away before it had sent the request body'))
    const onData = (chunk: Uint8Array) => {
      if (take(chunk)) return
      body.pause()
      stop()
    }
    body.on('data', onData).on('end', stop).on('error', gone).on('close', gone)
  })
}

const tooLarge = () => new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${mostBytes}`)

/** In the dialect of sigs.k8s.io/yaml. Throws BadRequest. */
export async function parseYaml(bytes: Uint8Array): Promise<Body> {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new StatusError('BadRequest', 'error converting YAML to JSON: yaml: invalid leading UTF-8 octet', undefined, { cause })
  }
  const { json, duplicates } = await convertYaml(text)
  const faults = duplicates.length > 0 ? [`yaml: unmarshal errors:\n${duplicates.map((each) => `  ${each}`).join('\n')}`] : []
  return { value: (await readJson(json, {})).value, faults }
}

/** Of a body that was read with its floats. Throws BadRequest where a value is of another type than its field. */
export const typed = (schema: Struct, { value, floats }: Body): JsonObject => decode(schema, value, { ...(floats && { floats }) }).object

/** The object in a body that must hold one. */
export function objectIn({ value }: Body): Record<string, unknown> {
  if (isObject(value)) return value
  throw new StatusError('BadRequest', 'the request body must hold one object')
}
