// Answers in Kubernetes' protobuf: objects, lists and the frames of a watch.

import type { KubeObject } from '#api/kinds/kind.ts'
import { schemaOf } from '#api/schema/compile.ts'
import { encodeItems, encodeProtobuf, encodeWatchEvent, listEnvelope } from '#api/schema/encode.ts'
import type { Struct } from '#api/schema/schema.ts'
import type { Telling } from '../cache/change.ts'
import type { Resource } from '../objects/resource.ts'

export const protobufType = 'application/vnd.kubernetes.protobuf'

/** Encoded in one turn of the event loop. */
const encodedBytes = 64 * 1024
const frameHead = 4

/** Custom resources have no message. */
export const hasProtobuf = ({ schema }: Pick<Resource, 'schema'>): boolean => !schema.loose && schema.wire.size > 0

type Typed = { apiVersion: string; kind: string }

/** Undefined for what has no message: tables and discovery. */
export function protobufOf(object: object): Uint8Array | undefined {
  const { apiVersion = '', kind = '' } = object as Partial<Typed>
  const [version = '', group = ''] = apiVersion.split('/').reverse()
  const schema = schemaOf({ group, version, kind })
  return schema?.wire.size ? encodeProtobuf(schema, object as Typed) : undefined
}

/** The whole list, in pieces; a length stands before them, so all are made before the first can go. */
export async function protobufList(
  { kind, apiVersion, metadata }: Typed & { metadata: Record<string, unknown> },
  schema: Struct,
  objects: Iterable<KubeObject>,
): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = []
  let size = 0
  const source = objects[Symbol.iterator]()
  for (;;) {
    const piece = encodeItems(schema, source, encodedBytes)
    if (piece.length === 0) break
    pieces.push(piece)
    size += piece.length
    // Others get their turn.
    if (piece.length >= encodedBytes) await new Promise(setImmediate)
  }
  const { head, tail } = listEnvelope({ kind, apiVersion }, metadata, size)
  return [head, ...pieces, tail]
}

/** A frame of a watch: its length, and a WatchEvent around the object. */
export function watchFrame(type: string, object: Uint8Array): Uint8Array {
  const event = encodeWatchEvent(type, object)
  const frame = Buffer.allocUnsafe(frameHead + event.length)
  frame.writeUInt32BE(event.length)
  frame.set(event, frameHead)
  return frame
}

const tellings = new WeakMap<Struct, Telling>()

/** The frames of a watch of objects with this schema: one function for all watches, so that an event is encoded once. */
export function frameOf({ schema }: Resource): Telling {
  let telling = tellings.get(schema)
  if (!telling) {
    telling = (type, item) => watchFrame(type, encodeProtobuf(schema, item.object))
    tellings.set(schema, telling)
  }
  return telling
}
