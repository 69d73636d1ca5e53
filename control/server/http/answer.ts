// Answers: stored bytes as they are wherever the client wants the plain object.

import { pipeline } from 'node:stream'
import { constants, createGzip } from 'node:zlib'
import { type Chunks, type HeaderValues, Reply } from '#api/http/reply.ts'
import type { KubeObject } from '#api/kinds/kind.ts'
import { encodeProtobuf } from '#api/schema/encode.ts'
import { jsonLine, watchLine } from '../cache/change.ts'
import type { Sent } from '../cache/feed.ts'
import type { Item } from '../cache/item.ts'
import type { Narrow } from '../objects/narrow.ts'
import type { Listed } from '../objects/read.ts'
import type { Resource } from '../objects/resource.ts'
import type { View } from './accept.ts'
import { frameOf, protobufList, protobufOf, protobufType, watchFrame } from './protobuf.ts'
import { bookmarkOf, type IncludeObject, partial, partialList, tableOf } from './table.ts'

export type ResponseFormat = {
  view: View
  include: IncludeObject
  now: () => number
  acceptEncoding: string | undefined
  warnings: readonly string[]
  /** Where less is shown than there is; the view is the plain object then. */
  narrow?: Narrow | undefined
}

/** Smaller answers are not worth the work; Kubernetes' own threshold. */
const compressFrom = 128 * 1024
/** What is sent of a long list at a time. */
const chunkBytes = 128 * 1024
const comma = Buffer.from(',')
const listEnd = Buffer.from(']}\n')

export async function answerItem(resource: Resource, item: Item, look: ResponseFormat, code = 200): Promise<Reply> {
  const { view } = look
  if (view.as === 'Table') {
    const metadata = { resourceVersion: item.object.metadata.resourceVersion }
    return await answerJson(tableOf(resource.spec, [item.object], { ...look, now: look.now(), metadata }), look, code)
  }
  if (view.as === 'PartialObjectMetadata') return await answerJson(partial(item.object, view.version), look, code)
  if (view.format === 'yaml') return await answerJson(item.object, look, code)
  if (view.format === 'protobuf') return sentAs(encodeProtobuf(resource.schema, item.object), look, code, protobufType)
  return sentAs(item.bytes, look, code)
}

export async function answerList(resource: Resource, listed: Listed, look: ResponseFormat): Promise<Reply> {
  const { view } = look
  const metadata = {
    resourceVersion: String(listed.revision),
    ...(listed.continue && { continue: listed.continue }),
    ...(listed.remaining !== undefined && { remainingItemCount: listed.remaining }),
  }
  const objects = () => listed.items.map((item) => item.object)
  if (view.as === 'Table') return await answerJson(tableOf(resource.spec, objects(), { ...look, now: look.now(), metadata }), look)
  if (view.as === 'PartialObjectMetadata') return await answerJson(partialList(objects(), metadata, view.version), look)
  const frame = { kind: resource.spec.listKind ?? `${resource.kind.kind}List`, apiVersion: resource.apiVersion, metadata }
  if (view.format === 'yaml') return await answerJson({ ...frame, items: objects() }, look)
  if (view.format === 'protobuf') {
    const pieces = await protobufList(frame, resource.schema, objectsOf(listed.items))
    return sentAs(streamed(pieces), look, 200, protobufType)
  }
  return sentAs(listBytes(Buffer.from(`${JSON.stringify(frame).slice(0, -1)},"items":[`), listed.items, look.narrow?.bytes), look)
}

/** The stored bytes as they are; of a long list a piece at a time, as the client takes them. */
function listBytes(head: Uint8Array, items: readonly Item[], bytesOf = whole): Uint8Array | Chunks {
  const size = items.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const chunks = listChunks(head, items, bytesOf)
  return size < chunkBytes ? Buffer.concat([...chunks]) : streamed(chunks)
}

const whole = ({ bytes }: Item): Uint8Array => bytes

function* listChunks(head: Uint8Array, items: readonly Item[], bytesOf: (item: Item) => Uint8Array): Generator<Uint8Array> {
  let parts = [head]
  let size = 0
  for (const [i, item] of items.entries()) {
    const bytes = bytesOf(item)
    if (i > 0) parts.push(comma)
    parts.push(bytes)
    size += bytes.length
    if (size < chunkBytes) continue
    yield Buffer.concat(parts)
    parts = []
    size = 0
  }
  parts.push(listEnd)
  yield Buffer.concat(parts)
}

/** Others get their turn between two pieces. */
async function* streamed(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    yield chunk
    await new Promise(setImmediate)
  }
}

/** Decoded one by one, as they are needed. */
function* objectsOf(items: readonly Item[]): Generator<KubeObject> {
  for (const item of items) yield item.read()
}

/** Any object that is not stored. */
export async function answerJson(
  value: object,
  look: Pick<ResponseFormat, 'view' | 'acceptEncoding' | 'warnings'>,
  code = 200,
): Promise<Reply> {
  if (look.view.format === 'yaml') {
    const { stringifyYaml } = await import('#api/yaml/write.ts')
    return sentAs(Buffer.from(stringifyYaml(value)), look, code, 'application/yaml')
  }
  const protobuf = look.view.format === 'protobuf' ? protobufOf(value) : undefined
  if (protobuf) return sentAs(protobuf, look, code, protobufType)
  return sentAs(Buffer.from(`${JSON.stringify(value)}\n`), look, code)
}

function sentAs(
  body: Uint8Array | Chunks,
  { acceptEncoding, warnings }: Pick<ResponseFormat, 'acceptEncoding' | 'warnings'>,
  status = 200,
  type = 'application/json',
): Reply {
  const headers: HeaderValues = { 'content-type': type, 'cache-control': 'no-cache, private' }
  if (warnings.length > 0) headers.warning = warnings.map(warningHeader)
  const isShort = body instanceof Uint8Array && body.length < compressFrom
  if (isShort || !acceptEncoding?.includes('gzip')) return new Reply(body, { status, headers })
  const compressed = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: chunkBytes })
  // Only a client that goes early ends this with an error, and then there is nobody to tell.
  pipeline(body instanceof Uint8Array ? [body] : body, compressed, () => {})
  return new Reply(compressed, { status, headers: { ...headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' } })
}

/** RFC 7234, code 299; control characters and quotes cannot stand in it as they are. */
export function warningHeader(text: string): string {
  const plain = Array.from(text, (c) => (c < ' ' || c > '~' ? ' ' : c)).join('')
  return `299 - "${plain.replace(/["\\]/g, '\\$&')}"`
}

/**
 * The stream of a watch. Nothing is read ahead of the client: a slow one leaves its events with the
 * watcher. `statusOf` makes the ERROR event of a failure.
 */
export const answerWatch = (
  resource: Resource,
  feed: AsyncIterable<Sent[]>,
  look: ResponseFormat,
  statusOf: (error: unknown) => object,
): Reply => {
  const type = look.view.format === 'protobuf' ? `${protobufType};stream=watch` : 'application/json'
  return new Reply(
    watchBytes(feed, tellerOf(resource, look), (error) => toldApart('ERROR', statusOf(error), look.view)),
    {
      headers: { 'content-type': type, 'cache-control': 'no-cache, private' },
    },
  )
}

async function* watchBytes(
  feed: AsyncIterable<Sent[]>,
  tell: (sent: Sent) => Uint8Array,
  failed: (error: unknown) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const batch of feed) yield batch.length === 1 ? tell(batch[0] as Sent) : Buffer.concat(batch.map(tell))
  } catch (error) {
    yield failed(error)
  }
}

/** An event about what is no stored object. */
function toldApart(type: string, object: object, { format }: View): Uint8Array {
  const protobuf = format === 'protobuf' ? protobufOf(object) : undefined
  return protobuf ? watchFrame(type, protobuf) : watchLine(type, Buffer.from(JSON.stringify(object)))
}

function tellerOf(resource: Resource, { view, include, now, narrow }: ResponseFormat): (sent: Sent) => Uint8Array {
  const { spec } = resource
  const told = narrow?.line ?? (view.format === 'protobuf' ? frameOf(resource) : jsonLine)
  let headers = true
  return (sent) => {
    if (view.as === 'Table') {
      const objects = sent.type === 'BOOKMARK' ? [] : [sent.item.object]
      const resourceVersion = sent.type === 'BOOKMARK' ? String(sent.revision) : sent.item.object.metadata.resourceVersion
      const table = tableOf(spec, objects, { view, include, now: now(), metadata: { resourceVersion }, headers })
      headers = false
      return toldApart(sent.type, table, view)
    }
    if (sent.type === 'BOOKMARK') {
      const object = bookmarkOf(spec, sent.revision, sent.initial)
      return toldApart('BOOKMARK', view.as === 'PartialObjectMetadata' ? partial(object, view.version) : object, view)
    }
    return view.as === 'PartialObjectMetadata' ? toldApart(sent.type, partial(sent.item.object, view.version), view) : sent.told(told)
  }
}
