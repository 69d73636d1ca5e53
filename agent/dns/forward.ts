// Names outside the cluster: asked of the host's servers, one after the other, and remembered for as long
// as they allow, also that there is nothing (RFC 2308). While no server answers, what was remembered last
// is still better than nothing (RFC 8767). The same question from many pods is asked once.

import type { Clock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { type Answer, failureAnswer, headerSize, type Query, RCODE, recordAt, TYPE, typeAndClass } from './message.ts'
import type { Servers } from './resolv-conf.ts'
import { ask, type Server } from './upstream.ts'

export type ForwardOptions = {
  servers: Servers
  clock: Clock
  random: () => number
  log: Log
  /** For one server; every server is tried once. */
  timeoutMillis?: number | undefined
  /** Questions on their way at a time; more are refused, so that a flood stays one. */
  mostPending?: number
  cacheEntries?: number
  cacheBytes?: number
}

/** `stale`: from the past, because no server answers now. */
export type Forwarded = Answer & { stale?: true }

/** `retryAt`: when the servers are asked again after they failed. */
type Remembered = { answer: Answer; ttls: number[]; since: number; until: number; bytes: number; retryAt: number }

const longestMillis = 3_600_000
const longestNothingMillis = 30_000
/** A server that failed is asked last for so long. */
const penaltyMillis = 10_000
/** How long after its time an answer may still be given, how long clients wait before they get it, and what they are told to remember it for. */
const staleMillis = 86_400_000
const patienceMillis = 1800
const staleSeconds = 30
/** Servers that failed are left alone for so long by questions for which there is an old answer. */
const recheckMillis = 10_000

export class Forwarder {
  #options: ForwardOptions
  #cache = new Map<string, Remembered>()
  #bytes = 0
  #pending = new Map<string, Promise<Answer>>()
  #failed = new Map<string, number>()
  #closing = new AbortController()

  constructor(options: ForwardOptions) {
    this.#options = options
  }

  /** At once if it is remembered. Never throws: what cannot be had is SERVFAIL. */
  resolve(query: Query): Forwarded | Promise<Forwarded> {
    const key = `${query.key}${query.edns?.dnssec ? 'd' : ''}${query.flags & 0x10 ? 'c' : ''}`
    const known = this.#recall(key)
    if (known) return known
    const old = this.#cache.get(key)
    if (old && this.#options.clock.monotonic() < old.retryAt) return stale(old)
    const { mostPending = 1000 } = this.#options
    let asked = this.#pending.get(key)
    if (!asked) {
      if (this.#pending.size >= mostPending) return old ? stale(old) : failureAnswer(RCODE.serverFailure)
      asked = this.#ask(query, key).finally(() => this.#pending.delete(key))
      this.#pending.set(key, asked)
    }
    return old ? this.#sooner(asked, old) : asked
  }

  /** The new answer, or the old one if that takes too long or fails. */
  async #sooner(asked: Promise<Answer>, old: Remembered): Promise<Forwarded> {
    const { clock } = this.#options
    const waited = Promise.withResolvers<undefined>()
    const timer = clock.after(patienceMillis, () => waited.resolve(undefined))
    const answer = await Promise.race([asked, waited.promise])
    timer.cancel()
    if (answer && (answer.rcode === RCODE.ok || answer.rcode === RCODE.nameError)) return answer
    old.retryAt = clock.monotonic() + recheckMillis
    return stale(old)
  }

  close(): void {
    this.#closing.abort(new Error('closed'))
  }

  async #ask(query: Query, key: string): Promise<Answer> {
    const { clock, random, log, timeoutMillis = 2000 } = this.#options
    let last = failureAnswer(RCODE.serverFailure)
    for (const address of this.#ordered(await this.#options.servers.list())) {
      if (this.#closing.signal.aborted) break
      try {
        const id = Math.floor(random() * 0x10000)
        const message = await ask(toServer(address), query, { id, timeoutMillis, signal: this.#closing.signal })
        const { answer, ttls } = read(message, query)
        if (answer.rcode === RCODE.ok || answer.rcode === RCODE.nameError) {
          this.#failed.delete(address)
          this.#remember(key, answer, ttls)
          return answer
        }
        last = answer
      } catch (error) {
        log.debug({ server: address, name: query.labels.join('.'), error }, 'upstream name server failed')
      }
      this.#failed.set(address, clock.monotonic())
    }
    return last
  }

  #ordered(servers: readonly string[]): string[] {
    const limping = (address: string) =>
      this.#options.clock.monotonic() - (this.#failed.get(address) ?? Number.NEGATIVE_INFINITY) < penaltyMillis
    return [...servers.filter((address) => !limping(address)), ...servers.filter(limping)]
  }

  #recall(key: string): Answer | undefined {
    const found = this.#cache.get(key)
    if (!found) return undefined
    const now = this.#options.clock.monotonic()
    if (now >= found.until) {
      const something = found.answer.rcode === RCODE.ok && found.answer.counts.answer > 0
      if (!something || now >= found.until + staleMillis) this.#drop(key, found)
      return undefined
    }
    const age = Math.floor((now - found.since) / 1000)
    if (age === 0) return found.answer
    const body = Buffer.from(found.answer.body)
    for (const at of found.ttls) body.writeUInt32BE(Math.max(body.readUInt32BE(at) - age, 0), at)
    return { ...found.answer, body }
  }

  #remember(key: string, answer: Answer, ttls: number[]): void {
    const { clock, cacheEntries = 10_000, cacheBytes = 4 << 20 } = this.#options
    const seconds = ttls.reduce((least, at) => Math.min(least, answer.body.readUInt32BE(at)), Number.POSITIVE_INFINITY)
    const something = answer.rcode === RCODE.ok && answer.counts.answer > 0
    const millis = Math.min(seconds * 1000, something ? longestMillis : longestNothingMillis)
    // Without any record nobody said for how long there is nothing.
    if (millis <= 0 || ttls.length === 0) return
    const now = clock.monotonic()
    const bytes = answer.body.length + key.length + 200
    const entry = { answer, ttls, since: now, until: now + millis, bytes, retryAt: 0 }
    const old = this.#cache.get(key)
    if (old) this.#drop(key, old)
    this.#cache.set(key, entry)
    this.#bytes += bytes
    for (const [key, oldest] of this.#cache) {
      if (this.#cache.size <= cacheEntries && this.#bytes <= cacheBytes) break
      this.#drop(key, oldest)
    }
  }

  #drop(key: string, entry: Remembered): void {
    if (this.#cache.delete(key)) this.#bytes -= entry.bytes
  }
}

const stale = ({ answer, ttls }: Remembered): Forwarded => {
  const body = Buffer.from(answer.body)
  for (const at of ttls) body.writeUInt32BE(staleSeconds, at)
  return { ...answer, body, stale: true }
}

/** `address` or `address#port`, as dnsmasq writes it; 53 if absent. */
function toServer(text: string): Server {
  const [address = '', port] = text.split('#')
  return { address, port: port ? Number(port) : 53 }
}

/** The message without its header, question and OPT record. Throws for a broken one. */
function read(message: Buffer, query: Query): { answer: Answer; ttls: number[] } {
  const start = headerSize + query.question.length
  const [answers, authorities, additionals] = [message.readUInt16BE(6), message.readUInt16BE(8), message.readUInt16BE(10)]
  const ttls: number[] = []
  let at = start
  let end = start
  let kept = 0
  let extended = 0
  for (let index = 0; index < answers + authorities + additionals; index++) {
    const record = recordAt(message, at)
    if (!record || (record.type === TYPE.OPT && index < answers + authorities)) throw new Error('broken answer')
    at = record.end
    if (record.type === TYPE.OPT) {
      extended = message[record.ttl]!
      // Names behind it could point into what moves: what is behind is only an addition, and left out.
      break
    }
    ttls.push(record.ttl - start)
    kept++
    end = record.end
  }
  // In memory of its own: it may be kept, and a small buffer out of a slab keeps the whole slab.
  const body = Buffer.allocUnsafeSlow(end - start)
  message.copy(body, 0, start, end)
  const rcode = (extended << 4) | (message[3]! & 0xf)
  if (rcode === RCODE.nameError || answers === 0) limitBySoa(message, ttls, start, body)
  return {
    answer: {
      rcode,
      authoritative: false,
      authentic: (message[3]! & 0x20) !== 0,
      counts: {
        answer: Math.min(answers, kept),
        authority: Math.min(authorities, Math.max(kept - answers, 0)),
        additional: Math.max(kept - answers - authorities, 0),
      },
      body,
    },
    ttls,
  }
}

/** RFC 2308: nothing lasts as long as the lesser of the SOA's TTL and its last number. */
function limitBySoa(message: Buffer, ttls: readonly number[], start: number, body: Buffer): void {
  for (const at of ttls) {
    const ttl = at + start
    const type = message.readUInt16BE(ttl - typeAndClass)
    const length = message.readUInt16BE(ttl + 4)
    if (type !== TYPE.SOA || length < 20) continue
    const minimum = message.readUInt32BE(ttl + 6 + length - 4)
    body.writeUInt32BE(Math.min(body.readUInt32BE(at), minimum), at)
  }
}
