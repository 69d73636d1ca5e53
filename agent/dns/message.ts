// DNS messages on the wire (RFC 1035, EDNS0 of RFC 6891): queries read in place, answers written as a
// body that follows any copy of their question. Of its own rather than dns-packet's, because a body with
// names compressed against the question is valid for every spelling and id of it, and so is kept encoded.

export const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, TXT: 16, AAAA: 28, SRV: 33, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const
export const RCODE = { ok: 0, formatError: 1, serverFailure: 2, nameError: 3, notImplemented: 4, refused: 5, badVersion: 16 } as const

export const headerSize = 12
export const typeAndClass = 4
const optSize = 11
/** What fits any path without fragments (DNS flag day 2020); also what we announce. */
export const udpPayload = 1232
const smallestPayload = 512

export type Query = {
  id: number
  flags: number
  /** The question as it was sent, to be repeated in the answer. */
  question: Buffer
  /** Equal for questions that differ only in case. */
  key: string
  /** In lower case, top-level domain last. */
  labels: string[]
  type: number
  class: number
  edns?: { payload: number; dnssec: boolean }
  /** Why it cannot be answered, if so. */
  failure?: number
}

export type Answer = {
  rcode: number
  authoritative: boolean
  /** Set by an upstream that verified DNSSEC. */
  authentic?: boolean
  counts: { answer: number; authority: number; additional: number }
  /** All records, written to stand behind the question. */
  body: Buffer
  /** The body is answers of this many bytes each, in no order. */
  unit?: number
  /** Bytes of the body that must not be left out; the others are only a help. */
  needed?: number
}

/** Undefined for what deserves no answer: too short to have an id, or an answer itself. */
export function parseQuery(message: Buffer): Query | undefined {
  if (message.length < headerSize) return undefined
  const flags = message.readUInt16BE(2)
  if (flags & 0x8000) return undefined
  const none = Buffer.alloc(0)
  const query: Query = { id: message.readUInt16BE(0), flags, question: none, key: '', labels: [], type: 0, class: 0 }
  const fail = (failure: number): Query => ({ ...query, failure })
  if ((flags >> 11) & 0xf) return fail(RCODE.notImplemented)
  if (message.readUInt16BE(4) !== 1) return fail(RCODE.formatError)
  const end = nameEnd(message, headerSize)
  if (end === undefined || end + typeAndClass > message.length) return fail(RCODE.formatError)
  query.question = message.subarray(headerSize, end + typeAndClass)
  query.type = message.readUInt16BE(end)
  query.class = message.readUInt16BE(end + 2)
  query.labels = labelsOf(query.question)
  query.key = keyOf(query.question)
  const skipped = message.readUInt16BE(6) + message.readUInt16BE(8)
  const additional = message.readUInt16BE(10)
  if (skipped + additional === 0) return query
  let at: number | undefined = end + typeAndClass
  for (let index = 0; index < skipped + additional; index++) {
    const record: RecordPlace | undefined = recordAt(message, at)
    if (!record) return fail(RCODE.formatError)
    if (record.type === TYPE.OPT && index >= skipped) {
      if (query.edns) return fail(RCODE.formatError)
      query.edns = { payload: Math.max(record.class, smallestPayload), dnssec: (message[record.ttl + 2]! & 0x80) !== 0 }
      if (message[record.ttl + 1] !== 0) return fail(RCODE.badVersion)
    }
    at = record.end
  }
  return query
}

/** Without regard to case; type and class are compared as they are. */
export function keyOf(question: Buffer): string {
  const lower = Buffer.from(question)
  // Length bytes are below 64, so only letters are in the range.
  for (let at = 0; at < lower.length - typeAndClass; at++) if (lower[at]! >= 0x41 && lower[at]! <= 0x5a) lower[at]! |= 0x20
  return lower.toString('latin1')
}

function labelsOf(question: Buffer): string[] {
  const labels: string[] = []
  for (let at = 0; question[at]! > 0; at += question[at]! + 1)
    labels.push(question.toString('latin1', at + 1, at + 1 + question[at]!).toLowerCase())
  return labels
}

/** Behind a name that is not compressed; undefined if it is broken. */
function nameEnd(message: Buffer, start: number): number | undefined {
  for (let at = start; at < message.length; ) {
    const length = message[at]!
    if (length === 0) return at + 1
    if (length > 63 || at + length - start > 253) return undefined
    at += length + 1
  }
  return undefined
}

/** Offsets into a message. */
export type RecordPlace = { start: number; type: number; class: number; ttl: number; data: number; end: number }

/** The record at `start`, whose name may be compressed; undefined if it is broken. */
export function recordAt(message: Buffer, start: number): RecordPlace | undefined {
  let at = start
  for (;;) {
    const length = message[at]
    if (length === undefined) return undefined
    if (length >= 0xc0) {
      at += 2
      break
    }
    if (length > 63) return undefined
    at += length + 1
    if (length === 0) break
  }
  if (at + 10 > message.length) return undefined
  const data = at + 10
  const end = data + message.readUInt16BE(at + 8)
  if (end > message.length) return undefined
  return { start, type: message.readUInt16BE(at), class: message.readUInt16BE(at + 2), ttl: at + 4, data, end }
}

/**
 * The whole message. `limit`: bytes that a datagram may have; records that do not fit are left out and the
 * answer marked truncated. `random` (0 ≤ x < 1) orders records whose order means nothing.
 */
export function encodeAnswer(query: Query, answer: Answer, options: { limit?: number; random?: () => number } = {}): Buffer {
  const { question, edns } = query
  const room = (options.limit ?? 65_535) - headerSize - question.length - (edns ? optSize : 0)
  let { counts, body } = answer
  if (body.length > room && answer.needed !== undefined) {
    body = body.subarray(0, answer.needed)
    counts = { ...counts, additional: 0 }
  }
  const truncated = body.length > room
  if (answer.unit && options.random && counts.answer > 1) body = shuffled(body, answer.unit, options.random)
  if (truncated) {
    const fitting = answer.unit ? Math.floor(room / answer.unit) : 0
    counts = { answer: fitting, authority: 0, additional: 0 }
    body = body.subarray(0, fitting * (answer.unit ?? 0))
  }
  const message = Buffer.allocUnsafe(headerSize + question.length + body.length + (edns ? optSize : 0))
  message.writeUInt16BE(query.id, 0)
  // QR, the opcode and RD as asked, AA, TC; RA, AD, CD as asked.
  message[2] = 0x80 | ((query.flags >> 8) & 0x79) | (answer.authoritative ? 0x04 : 0) | (truncated ? 0x02 : 0)
  message[3] = 0x80 | (answer.authentic ? 0x20 : 0) | (query.flags & 0x10) | (answer.rcode & 0xf)
  message.writeUInt16BE(question.length > 0 ? 1 : 0, 4)
  message.writeUInt16BE(counts.answer, 6)
  message.writeUInt16BE(counts.authority, 8)
  message.writeUInt16BE(counts.additional + (edns ? 1 : 0), 10)
  question.copy(message, headerSize)
  body.copy(message, headerSize + question.length)
  if (edns) writeOpt(message, message.length - optSize, { extended: answer.rcode >> 4, dnssec: edns.dnssec })
  return message
}

export const failureAnswer = (rcode: number): Answer => ({
  rcode,
  authoritative: false,
  counts: { answer: 0, authority: 0, additional: 0 },
  body: Buffer.alloc(0),
})

/** A query of ours to an upstream for the same question. */
export function encodeQuery(query: Query, id: number): Buffer {
  const message = Buffer.alloc(headerSize + query.question.length + optSize)
  message.writeUInt16BE(id, 0)
  // RD always; AD and CD as asked.
  message[2] = 0x01
  message[3] = query.flags & 0x30
  message[5] = 1
  message[11] = 1
  query.question.copy(message, headerSize)
  writeOpt(message, headerSize + query.question.length, { extended: 0, dnssec: query.edns?.dnssec ?? false })
  return message
}

function writeOpt(message: Buffer, at: number, { extended, dnssec }: { extended: number; dnssec: boolean }): void {
  message[at] = 0
  message.writeUInt16BE(TYPE.OPT, at + 1)
  message.writeUInt16BE(udpPayload, at + 3)
  message[at + 5] = extended
  message[at + 6] = 0
  message.writeUInt16BE(dnssec ? 0x8000 : 0, at + 7)
  message.writeUInt16BE(0, at + 9)
}

function shuffled(body: Buffer, unit: number, random: () => number): Buffer {
  const copy = Buffer.from(body)
  const spare = Buffer.allocUnsafe(unit)
  for (let left = copy.length / unit; left > 1; left--) {
    const from = Math.floor(random() * left) * unit
    const to = (left - 1) * unit
    copy.copy(spare, 0, from, from + unit)
    copy.copyWithin(from, to, to + unit)
    spare.copy(copy, to)
  }
  return copy
}
