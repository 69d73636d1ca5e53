// Decides what becomes of an event before it is sent: dropped, counted onto one already sent, or sent
// as new. The rules and figures are client-go's (tools/record/events_cache.go), so a pod that fails
// in a loop shows one line with a rising count and a noisy one cannot flood the store.

import type { ObjectReference } from '../types/core-v1.gen.ts'

export type Occurrence = { object: ObjectReference; type: 'Normal' | 'Warning'; reason: string; message: string }

/** `key` names the line that this occurrence counts onto; `count` includes it. */
export type Verdict = { key: string; message: string; count: number; firstSeen: number } | undefined

/** Tokens of one object: 25 at once, then one every five minutes. */
const BURST = 25
const REFILL_MS = 300_000
/** More than this many different messages of one reason within the window become one combined line. */
const SIMILAR_MAX = 10
const SIMILAR_WINDOW_MS = 600_000
/** Objects, groups and lines remembered, each; the least recently used is forgotten. */
const REMEMBERED = 4096

type Bucket = { tokens: number; at: number }
type Group = { messages: Set<string>; at: number }
type Line = { count: number; firstSeen: number }

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

    const line = recall(this.#lines, key, () => ({ count: 0, firstSeen: at }))
    line.count += 1
    return { key, message: text, count: line.count, firstSeen: line.firstSeen }
  }

  /** The line could not be counted onto (its object is gone from the server): the next occurrence starts anew. */
  forget(key: string): void {
    this.#lines.delete(key)
  }

  #take(about: string, now: number): boolean {
    const bucket = recall(this.#buckets, about, () => ({ tokens: BURST, at: now }))
    const refilled = Math.min(BURST, bucket.tokens + Math.max(0, now - bucket.at) / REFILL_MS)
    bucket.at = now
    bucket.tokens = refilled >= 1 ? refilled - 1 : refilled
    return refilled >= 1
  }

  #tooManySimilar(key: string, message: string, now: number): boolean {
    const group = recall(this.#groups, key, () => ({ messages: new Set<string>(), at: now }))
    if (now - group.at > SIMILAR_WINDOW_MS) group.messages.clear()
    group.at = now
    if (group.messages.size < SIMILAR_MAX) group.messages.add(message)
    return !group.messages.has(message)
  }
}

/** The entry at `key`, made if absent, as the most recently used one. */
function recall<V>(map: Map<string, V>, key: string, make: () => V): V {
  const value = map.get(key) ?? make()
  map.delete(key)
  map.set(key, value)
  if (map.size > REMEMBERED) map.delete(map.keys().next().value as string)
  return value
}
