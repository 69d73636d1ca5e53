// The ConfigMaps and Secrets that this node's pods refer to, and no others: each is read once, then
// followed by a watch of its own for as long as someone holds it.

import type { Client } from '#api/client/client.ts'
import { type Clock, sleep } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { apiVersionOf, type Kind, type KubeObject, keyOf } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'

export type ObjectRef = { namespace: string; name: string }

export interface Objects {
  /** As the server has it now, or as last seen if it is held; undefined where there is none. Throws StatusError. */
  find<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, signal?: AbortSignal): Promise<T | undefined>
  /** Follows the object until released; calls back after each change, appearance and disappearance. */
  hold(kind: Kind, ref: ObjectRef, changed: () => void): () => void
  close(): Promise<void>
}

type Followed = {
  holders: Set<() => void>
  seen?: { object: KubeObject | undefined }
  stop: AbortController
  done: Promise<void>
}

const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 30_000

export function openObjects({ client, clock, log }: { client: Client; clock: Clock; log: Log }): Objects {
  const followed = new Map<string, Followed>()
  const keyFor = (kind: Kind, ref: ObjectRef) => `${apiVersionOf(kind)}/${kind.kind}/${keyOf(ref)}`

  async function follow(kind: Kind, ref: ObjectRef, entry: Followed): Promise<void> {
    const { signal } = entry.stop
    const only = { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}`, signal }
    for (let backoff = RETRY_MIN_MS; !signal.aborted; backoff = Math.min(backoff * 2, RETRY_MAX_MS)) {
      try {
        const list = await client.list(kind, only)
        let resourceVersion = list.metadata.resourceVersion
        see(entry, list.items[0])
        while (!signal.aborted) {
          for await (const { type, object } of client.watch(kind, { ...only, resourceVersion, allowWatchBookmarks: true })) {
            resourceVersion = object.metadata.resourceVersion
            backoff = RETRY_MIN_MS
            if (type !== 'BOOKMARK') see(entry, type === 'DELETED' ? undefined : object)
          }
        }
      } catch (error) {
        if (signal.aborted) return
        if (!isStatus(error, 'Expired', 'Gone')) log.debug({ err: error, kind: kind.kind, name: keyOf(ref) }, 'lost sight of an object')
        await sleep(clock, backoff, signal)
      }
    }
  }

  function see(entry: Followed, object: KubeObject | undefined): void {
    const before = entry.seen
    entry.seen = { object }
    if (before && before.object?.metadata.resourceVersion === object?.metadata.resourceVersion) return
    for (const changed of entry.holders) changed()
  }

  return {
    async find<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, signal?: AbortSignal) {
      const seen = followed.get(keyFor(kind, ref))?.seen
      return seen ? (seen.object as T | undefined) : client.find(kind, ref, { signal })
    },
    hold(kind, ref, changed) {
      const key = keyFor(kind, ref)
      let entry = followed.get(key)
      if (!entry) {
        entry = { holders: new Set(), stop: new AbortController(), done: Promise.resolve() }
        followed.set(key, entry)
        entry.done = follow(kind, ref, entry)
      }
      const held = entry
      const holder = () => changed()
      held.holders.add(holder)
      return () => {
        held.holders.delete(holder)
        if (held.holders.size > 0 || followed.get(key) !== held) return
        followed.delete(key)
        held.stop.abort()
      }
    },
    async close() {
      const all = [...followed.values()]
      followed.clear()
      for (const { stop } of all) stop.abort()
      await Promise.all(all.map(({ done }) => done))
    },
  }
}
