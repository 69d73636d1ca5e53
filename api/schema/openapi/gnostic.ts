// An OpenAPI 2 document as the protobuf message `openapi.v2.Document` of gnostic, which is the only form
// that kubectl before 1.27 asks for. Written as far as our documents go.
// https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto

import { atOnce, type Steps } from '../../breather.ts'
import type { Json } from './json.ts'

/** Accept header of the clients that want it. */
export const gnosticType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/** `document`: of openapiV2. */
export const toGnostic = (document: Json): Uint8Array<ArrayBuffer> => atOnce(writingGnostic(document))

/** As toGnostic, path by path and definition by definition. */
export function* writingGnostic(document: Json): Steps<Uint8Array<ArrayBuffer>> {
  const { title, version } = document.info as { title: string; version: string }
  return new Message()
    .text(1, document.swagger)
    .message(2, new Message().text(1, title).text(2, version))
    .message(8, yield* naming(document.paths as Record<string, Json>, pathItem, 2))
    .message(9, yield* naming(document.definitions as Record<string, Json>, schema, 1))
    .bytes()
}

/** A list, as field `number`, of { 1: name, 2: value }. */
const named = (entries: Readonly<Record<string, Json>>, write: (value: Json) => Message, number: number): Message =>
  atOnce(naming(entries, write, number))

function* naming(entries: Readonly<Record<string, Json>>, write: (value: Json) => Message, number: number): Steps<Message> {
  const list = new Message()
  for (const [name, value] of Object.entries(entries)) {
    list.message(number, new Message().text(1, name).message(2, write(value)))
    yield
  }
  return list
}

const methods = { get: 2, put: 3, post: 4, delete: 5, patch: 8 }

function pathItem(path: Json): Message {
  const item = new Message()
  for (const [method, number] of Object.entries(methods)) if (path[method]) item.message(number, operation(path[method] as Json))
  for (const each of (path.parameters ?? []) as Json[]) item.message(9, parameter(each))
  return item
}

function operation(json: Json): Message {
  const message = new Message().text(5, json.operationId)
  for (const each of (json.parameters ?? []) as Json[]) message.message(8, parameter(each))
  const responses = named(json.responses as Record<string, Json>, response, 1)
  return extensions(message.message(9, responses), json, 13)
}

const response = (json: Json): Message => {
  const message = new Message().text(1, json.description)
  if (json.schema) message.message(2, new Message().message(1, schema(json.schema as Json)))
  return new Message().message(1, message)
}

/** ParametersItem { parameter { body | non-body { query | path } } }. */
function parameter(json: Json): Message {
  const inner = new Message()
  if (json.in === 'body') {
    const body = new Message()
      .text(2, json.name)
      .text(3, json.in)
      .flag(4, json.required)
      .message(5, schema(json.schema as Json))
    inner.message(1, body)
  } else {
    const isQuery = json.in === 'query'
    const type = isQuery ? 6 : 5
    const simple = new Message()
      .flag(1, json.required)
      .text(2, json.in)
      .text(3, json.description)
      .text(4, json.name)
      .text(type, json.type)
      .flag(type + 14, json.uniqueItems)
    inner.message(2, new Message().message(isQuery ? 3 : 4, simple))
  }
  return new Message().message(1, inner)
}

function schema(json: Json): Message {
  const message = new Message().text(1, json.$ref).text(2, json.format).text(4, json.description)
  if (json.default !== undefined) message.message(5, any(json.default))
  for (const name of (json.required ?? []) as string[]) message.text(19, name)
  for (const value of (json.enum ?? []) as unknown[]) message.message(20, any(value))
  if (json.additionalProperties) message.message(21, new Message().message(1, schema(json.additionalProperties as Json)))
  if (json.type) message.message(22, new Message().text(1, json.type))
  if (json.items) message.message(23, new Message().message(1, schema(json.items as Json)))
  if (json.properties) message.message(25, named(json.properties as Record<string, Json>, schema, 1))
  return extensions(message, json, 31)
}

function extensions(message: Message, json: Json, number: number): Message {
  for (const [name, value] of Object.entries(json)) {
    if (name.startsWith('x-')) message.message(number, new Message().text(1, name).message(2, any(value)))
  }
  return message
}

/** { 2: YAML }, and JSON is YAML. */
const any = (value: unknown): Message => new Message().text(2, `${JSON.stringify(value)}\n`)

class Message {
  readonly #parts: Uint8Array[] = []

  /** Left out where it is undefined. */
  text(number: number, value: unknown): this {
    return typeof value === 'string' ? this.#delimited(number, Buffer.from(value)) : this
  }

  flag(number: number, value: unknown): this {
    if (value === true) this.#parts.push(varint(number * 8), varint(1))
    return this
  }

  message(number: number, value: Message): this {
    return this.#delimited(number, value.bytes())
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return Buffer.concat(this.#parts)
  }

  #delimited(number: number, bytes: Uint8Array): this {
    this.#parts.push(varint(number * 8 + 2), varint(bytes.length), bytes)
    return this
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
  return Uint8Array.from([...bytes, rest])
}
