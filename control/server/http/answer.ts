// Answers: stored bytes as they are wherever the client wants the plain object.

import { promisify } from 'node:util'
import { constants, gzip } from 'node:zlib'
import { watchLine } from '../change.ts'
import type { Sent } from '../feed.ts'
import type { Item } from '../item.ts'
import type { Listed } from '../read.ts'
import type { Resource } from '../resource.ts'
import type { View } from './accept.ts'
import { bookmarkOf, type IncludeObject, partial, partialList, tableOf } from './table.ts'

export type Look = {
  view: View
  include: IncludeObject
  now: () => number
  acceptEncoding: string | undefined
  warnings: readonly string[]
}

const compress = promisify(gzip)
/** Smaller answers are not worth the work; Kubernetes' own threshold. */
const compressFrom = 128 * 1024
const comma = Buffer.from(',')

export async function answerItem(resource: Resource, item: Item, look: Look, code = 200): Promise<Response> {
  const { view } = look
  if (view.as === 'Table') {
    const metadata = { resourceVersion: item.object.metadata.resourceVersion }
    return await answerJson(tableOf(resource.spec, [item.object], { ...look, now: look.now(), metadata }), look, code)
  }
  if (view.as === 'PartialObjectMetadata') return await answerJson(partial(item.object, view.version), look, code)
  if (view.format === 'yaml') return await answerJson(item.object, look, code)
  return await answerBytes(item.bytes, look, code)
}

export async function answerList(resource: Resource, listed: Listed, look: Look): Promise<Response> {
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
  const parts: Uint8Array[] = [Buffer.from(`${JSON.stringify(frame).slice(0, -1)},"items":[`)]
  for (const [i, item] of listed.items.entries()) {
    if (i > 0) parts.push(comma)
    parts.push(item.bytes)
  }
  parts.push(Buffer.from(']}\n'))
  return await answerBytes(Buffer.concat(parts), look)
}

/** Any object that is not stored. */
export async function answerJson(value: unknown, look: Pick<Look, 'view' | 'acceptEncoding' | 'warnings'>, code = 200): Promise<Response> {
  if (look.view.format === 'yaml') {
    const { stringify } = await import('yaml')
    return await answerBytes(Buffer.from(stringify(value)), look, code, 'application/yaml')
  }
  return await answerBytes(Buffer.from(`${JSON.stringify(value)}\n`), look, code)
}

async function answerBytes(
  bytes: Uint8Array,
  { acceptEncoding, warnings }: Pick<Look, 'acceptEncoding' | 'warnings'>,
  code = 200,
  type = 'application/json',
): Promise<Response> {
  const headers = new Headers({ 'content-type': type, 'cache-control': 'no-cache, private' })
  for (const text of warnings) headers.append('warning', warningHeader(text))
  if (bytes.length < compressFrom || !acceptEncoding?.includes('gzip'))
    return new Response(bytes as Uint8Array<ArrayBuffer>, { status: code, headers })
  headers.set('content-encoding', 'gzip')
  headers.append('vary', 'Accept-Encoding')
  const small = await compress(bytes, { level: constants.Z_BEST_SPEED })
  return new Response(small, { status: code, headers })
}

/** RFC 7234, code 299; control characters and quotes cannot stand in it as they are. */
export function warningHeader(text: string): string {
  const plain = Array.from(text, (c) => (c < ' ' || c > '~' ? ' ' : c)).join('')
  return `299 - "${plain.replace(/["\\]/g, '\\$&')}"`
}

/**
 * The stream of a watch. Nothing is read ahead of the client: a slow one leaves its events with the
 * watcher. `stop` ends the feed's waiting; `statusOf` makes the ERROR event of a failure.
 */
export function answerWatch(
  resource: Resource,
  feed: AsyncGenerator<Sent[]>,
  look: Look,
  { stop, statusOf }: { stop: () => void; statusOf: (error: unknown) => object },
): Response {
  const encoder = lineEncoder(resource, look)
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await feed.next()
          if (done) controller.close()
          else controller.enqueue(Buffer.concat(value.map(encoder)))
        } catch (error) {
          controller.enqueue(watchLine('ERROR', Buffer.from(JSON.stringify(statusOf(error)))))
          controller.close()
        }
      },
      async cancel() {
        stop()
        await feed.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
  return new Response(body, { headers: { 'content-type': 'application/json', 'cache-control': 'no-cache, private' } })
}

function lineEncoder(resource: Resource, { view, include, now }: Look): (sent: Sent) => Uint8Array {
  const { spec } = resource
  let headers = true
  const json = (type: string, value: unknown) => watchLine(type, Buffer.from(JSON.stringify(value)))
  return (sent) => {
    if (view.as === 'Table') {
      const objects = sent.type === 'BOOKMARK' ? [] : [sent.item.object]
      const resourceVersion = sent.type === 'BOOKMARK' ? String(sent.revision) : sent.item.object.metadata.resourceVersion
      const table = tableOf(spec, objects, { view, include, now: now(), metadata: { resourceVersion }, headers })
      headers = false
      return json(sent.type, table)
    }
    if (sent.type === 'BOOKMARK') {
      const object = bookmarkOf(spec, sent.revision, sent.initial)
      return json('BOOKMARK', view.as === 'PartialObjectMetadata' ? { ...partial(object, view.version) } : object)
    }
    return view.as === 'PartialObjectMetadata' ? json(sent.type, partial(sent.item.object, view.version)) : sent.line()
  }
}
