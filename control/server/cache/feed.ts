// One watch: from a revision, or from a list, on; selected, with bookmarks, until its time is over.

import { breather } from '#api/breather.ts'
import type { Clock, Timer } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import { Compacted, type Store, type StoreEvent } from '../../store/store.ts'
import { revisionOf } from '../../store/subscription.ts'
import { type ListQuery, parseRevision, prefixOf } from '../objects/read.ts'
import { keyFor } from '../objects/resource.ts'
import { Change, type ChangeType, type Telling } from './change.ts'
import type { Item } from './item.ts'
import { type Selection, selectionOf } from './selection.ts'
import type { WatchCache } from './watch-cache.ts'
import type { Gathered, Taken, Watcher } from './watcher.ts'

export type WatchQuery = Omit<ListQuery, 'limit' | 'continue'> & {
  timeoutSeconds?: number | undefined
  allowWatchBookmarks?: boolean | undefined
  sendInitialEvents?: boolean | undefined
  signal: AbortSignal
  /** What is told to the reader in one go, where it selects nothing out. */
  gathered?: Gathered | undefined
}

/** What a watch is sent. A bookmark has no item; `initial` marks the one that ends the initial list. */
export type Sent =
  | { type: ChangeType; item: Item; told(telling: Telling): Uint8Array }
  | { type: 'BOOKMARK'; revision: number; initial: boolean }

const bookmarkEveryMs = 60_000
/** One more, so long before a watch ends: its client resumes from there. */
const lastBookmarkMs = 2_000
const initialBatch = 100

type Deps = { cache: WatchCache; store: Store; clock: Clock }

/**
 * Resolves once the watch stands, then yields what happens, in batches. Ends at the timeout, when the
 * signal aborts, whether or not anybody has begun to read, and when the reader is too slow. Throws Expired (410) for a revision that is gone.
 */
export async function openFeed(deps: Deps, query: WatchQuery): Promise<AsyncGenerator<Sent[]>> {
  const { resource } = query
  const { cache } = deps
  const selection = selectionOf(resource.spec, query.labelSelector, query.fieldSelector)
  const fromList = query.sendInitialEvents ?? (!query.resourceVersion || query.resourceVersion === '0')
  checkInitial(query)
  if (!query.resourceVersion) await cache.current()
  else await cache.reach(parseRevision(query.resourceVersion))
  const collection = cache.of(resource)
  if (fromList) {
    // The list and the watch behind it are taken in one turn: nothing falls between.
    const items = [...collection.under(prefixOf(query))]
    const revision = cache.revision
    const changes = endingWith(query.signal, watchFrom(deps, query, selection, revision))
    return run(deps, query, selection, changes, { items, revision })
  }
  const revision = query.resourceVersion && query.resourceVersion !== '0' ? parseRevision(query.resourceVersion) : cache.revision
  return run(deps, query, selection, endingWith(query.signal, watchFrom(deps, query, selection, revision)))
}

/** Changes whose reader may never come: they end with its request all the same. */
function endingWith(signal: AbortSignal, changes: Changes): Changes {
  const close = () => changes.close()
  if (signal.aborted) close()
  else signal.addEventListener('abort', close, { once: true })
  return {
    take: () => changes.take(),
    wake: () => changes.wake(),
    close() {
      signal.removeEventListener('abort', close)
      changes.close()
    },
  }
}

function checkInitial({ sendInitialEvents, resourceVersionMatch }: WatchQuery): void {
  const refuse = (why: string) => new StatusError('Invalid', `ListOptions.meta.k8s.io "" is invalid: ${why}`)
  if (sendInitialEvents !== undefined && resourceVersionMatch !== 'NotOlderThan') {
    throw refuse('resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  }
  if (sendInitialEvents === undefined && resourceVersionMatch) {
    throw refuse('resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
  }
}

/** `take` waits for changes or a `wake`; undefined at the end. */
type Changes = { take(): Promise<Taken | undefined>; wake(): void; close(): void }

function watchFrom({ cache, store }: Deps, query: WatchQuery, selection: Selection, revision: number): Changes {
  const { resource, namespace } = query
  const collection = cache.of(resource)
  // One object has a key, if it is known in which namespace.
  const isOne = selection.name !== undefined && (namespace !== undefined || !resource.kind.namespaced)
  const watch = (from: number) =>
    isOne
      ? collection.watch(keyFor(resource, namespace, selection.name ?? ''), from)
      : collection.watch(prefixOf(query), from, { wanted: selection.wanted, gathered: gatheredOf(query, selection) })
  if (collection.reaches(revision)) return watch(revision)
  // After a restart, what is only kept in memory has no past.
  const { ephemeralIn } = resource.spec
  if (ephemeralIn && (namespace ?? ephemeralIn) === ephemeralIn) throw tooOld(revision, cache.revision)
  const { revision: now } = cache
  return oldChanges(store.history(prefixOf(query), { after: revision, upTo: now }), watch(now))
}

/** From before the cache's memory: the store still knows. Behind that it is a watch like any other. */
function oldChanges(past: AsyncIterable<StoreEvent[]>, live: Watcher): Changes {
  const events = past[Symbol.asyncIterator]()
  let isPast = true
  return {
    async take() {
      if (isPast) {
        const { done, value } = await events.next()
        if (!done) return { changes: value.map((event) => Change.from(event)), revision: revisionOf(value.at(-1) as StoreEvent) }
        isPast = false
      }
      return await live.take()
    },
    wake: () => live.wake(),
    close: () => live.close(),
  }
}

const tooOld = (revision: number, oldest: number) => new StatusError('Expired', `too old resource version: ${revision} (${oldest})`)

async function* run(
  { clock }: Deps,
  query: WatchQuery,
  selection: Selection,
  changes: Changes,
  initial?: { items: Item[]; revision: number },
): AsyncGenerator<Sent[]> {
  const { signal } = query
  const state = { ended: signal.aborted }
  const end = () => {
    state.ended = true
    changes.wake()
  }
  signal.addEventListener('abort', end, { once: true })
  const deadline = query.timeoutSeconds ? clock.after(query.timeoutSeconds * 1000, end) : undefined
  const last = (query.timeoutSeconds ?? 0) * 1000 - lastBookmarkMs
  const bookmarks = query.allowWatchBookmarks ? metronome(clock, { everyMs: bookmarkEveryMs, last }, () => changes.wake()) : undefined
  try {
    if (initial) {
      const breathe = breather()
      for (let at = 0; at < initial.items.length && !state.ended; at += initialBatch) {
        await breathe()
        const batch = initial.items.slice(at, at + initialBatch).filter((item) => selection.all || selection.matches(item))
        if (batch.length > 0) yield batch.map((item) => ({ type: 'ADDED', item, told: (telling) => telling('ADDED', item) }))
      }
      if (query.sendInitialEvents && query.allowWatchBookmarks) yield [{ type: 'BOOKMARK', revision: initial.revision, initial: true }]
    }
    while (!state.ended) {
      const taken = await changes.take()
      if (!taken) return
      const sent = gatheredOf(query, selection) ? latest(taken.changes) : selected(taken.changes, selection)
      if (sent.length > 0) yield sent
      if (bookmarks?.struck()) yield [{ type: 'BOOKMARK', revision: taken.revision, initial: false }]
    }
  } catch (error) {
    if (error instanceof Compacted) throw tooOld(error.oldest - 1, error.oldest)
    throw error
  } finally {
    changes.close()
    deadline?.cancel()
    bookmarks?.cancel()
    signal.removeEventListener('abort', end)
  }
}

function selected(changes: readonly Change[], selection: Selection): Sent[] {
  if (selection.all) return changes.map((change) => sentAs(change, change.type))
  const sent: Sent[] = []
  for (const change of changes) {
    const now = change.type !== 'DELETED' && selection.matches(change.item)
    const before = change.previous !== undefined && selection.matches(change.previous)
    if (now) sent.push(sentAs(change, before ? 'MODIFIED' : 'ADDED'))
    else if (before) sent.push(sentAs(change, 'DELETED'))
  }
  return sent
}

const gatheredOf = ({ gathered }: WatchQuery, { all }: Selection): Gathered | undefined => (all ? gathered : undefined)

/** Of what happened to an object in the meantime only where it led. */
function latest(changes: readonly Change[]): Sent[] {
  const last = new Map<string, Sent>()
  for (const change of changes) {
    const { key } = change.item
    const isNew = last.get(key)?.type === 'ADDED' && change.type === 'MODIFIED'
    last.delete(key)
    last.set(key, sentAs(change, isNew ? 'ADDED' : change.type))
  }
  return [...last.values()]
}

const sentAs = (change: Change, type: ChangeType): Sent => ({
  type,
  item: type === 'DELETED' ? change.left : change.item,
  told: (telling) => change.told(telling, type),
})

/** Strikes every `ms`; `struck` tells once for each strike. */
function metronome(
  clock: Clock,
  { everyMs, last }: { everyMs: number; last: number },
  strike: () => void,
): { struck(): boolean; cancel(): void } {
  let due = false
  let timer: Timer
  const ring = () => {
    due = true
    strike()
  }
  const set = () => {
    timer = clock.after(everyMs, () => {
      set()
      ring()
    })
  }
  set()
  const before = last > 0 ? clock.after(last, ring) : undefined
  return {
    struck() {
      const was = due
      due = false
      return was
    },
    cancel() {
      timer.cancel()
      before?.cancel()
    },
  }
}
