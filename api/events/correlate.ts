// Decides what becomes of an event before it is sent: dropped, counted onto one already sent, or sent
// as new. The rules and figures are client-go's (tools/record/events_cache.go), so a pod that fails
// in a loop shows one line with a rising count and a noisy one cannot flood the store.

import type { ObjectReference } from '../types/core-v1.gen.ts'

export type Occurrence = { object: ObjectReference; type: 'Normal' | 'Warning'; reason: string; message: string }

/** `key` names the line that this occurrence counts onto; `count` includes it. `name`: what it was sent as, if it was. */
export type Verdict = { key: string; message: string; count: number; firstSeen: number; name: string | undefined } | undefined

/** Tokens of one object: 25 at once, then one every five minutes. */
const BURST = 25
const REFILL_MS = 300_000
/** More than this many different messages of one reason within the window become one combined line. */
const SIMILAR_MAX = 10
const SIMILAR_WINDOW_MS = 600_000
/** The server keeps an event for so long after its last write: there is nothing to count onto then. */
const LINE_MS = 3_600_000
/** Objects, groups and lines remembered, each; the least recently used is forgotten. */
const REMEMBERED = 4096

/** `at`: when it was last asked for. */
type Remembered = { at: number }
type Bucket = Remembered & { tokens: number }
type Group = Remembered & { messages: Set<string> }
type Line = Remembered & { count: number; firstSeen: number; name: string | undefined }

/** `now` in milliseconds of the monotonic clock; `at` is the same moment by the wall clock, for the event to tell. */
export class Correlator {
  readonly #buckets = new Map<string, Bucket>()
  readonly #groups = new Map<string, Group>()
  readonly #lines = new Map<string, Line>()

  occur({ object, type, reason, message }: Occurrence, now: number, at: number): Verdict {
    const about = [object.kind, object.namespace, object.name, object.uid, object.apiVersion].join('/')
    if (!this.#take(about, now)) return undefined

    const similar = JSON.stringify([about, object.fieldPath, type, reason])
    const combined = this.#tooManySimilar(similar, message, now)
    const text = combined ? `(combined from similar events): ${message}` : message
    const key = combined ? similar : JSON.stringify([similar, message])

    const line = recall(this.#lines, key, now, LINE_MS, () => ({ count: 0, firstSeen: at, name: undefined, at: now }))
    line.count += 1
    line.at = now
    return { key, message: text, count: line.count, firstSeen: line.firstSeen, name: line.name }
  }

  /** What later occurrences are counted onto. */
  sent(key: string, name: string): void {
    const line = this.#lines.get(key)
    if (line) line.name = name
  }

  /** Objects, groups and lines that are remembered. */
  get size(): number {
    return this.#buckets.size + this.#groups.size + this.#lines.size
  }

  #take(about: string, now: number): boolean {
    const bucket = recall(this.#buckets, about, now, BURST * REFILL_MS, () => ({ tokens: BURST, at: now }))
    const refilled = Math.min(BURST, bucket.tokens + Math.max(0, now - bucket.at) / REFILL_MS)
    bucket.at = now
    bucket.tokens = refilled >= 1 ? refilled - 1 : refilled
    return refilled >= 1
  }

  #tooManySimilar(key: string, message: string, now: number): boolean {
    const group = recall(this.#groups, key, now, SIMILAR_WINDOW_MS, () => ({ messages: new Set<string>(), at: now }))
    if (now - group.at > SIMILAR_WINDOW_MS) group.messages.clear()
    group.at = now
    if (group.messages.size < SIMILAR_MAX) group.messages.add(message)
    return !group.messages.has(message)
  }
}

/** The entry at `key`, made if absent, as the most recently used one. What was not used for `keptMs` says nothing any more, and goes. */
function recall<V extends Remembered>(map: Map<string, V>, key: string, now: number, keptMs: number, make: () => V): V {
  const value = map.get(key) ?? make()
  map.delete(key)
  map.set(key, value)
  for (const [oldest, { at }] of map) {
    if (oldest === key || (map.size <= REMEMBERED && now - at <= keptMs)) break
    map.delete(oldest)
  }
  return value
}
