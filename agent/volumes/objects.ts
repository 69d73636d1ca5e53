// The ConfigMaps, Secrets and RuntimeClasses that this node's pods refer to, and no others: each is followed by an
// informer of its own for as long as someone holds it.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { Informer } from '#api/informer/informer.ts'
import type { Memory } from '#api/informer/memory.ts'
import { apiVersionOf, type Kind, type KubeObject, keyOf } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'

/** `namespace` is '' for what has none. */
export type ObjectRef = { namespace: string; name: string }

export interface Objects {
  /** As the server has it now, or as last heard if it is held; undefined where there is none. Throws StatusError. */
  find<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, signal?: AbortSignal): Promise<T | undefined>
  /** Follows the object until released; calls back after it appears, changes or disappears. */
  hold(kind: Kind, ref: ObjectRef, changed: () => void): () => void
  close(): Promise<void>
}

export type ObjectsDeps = { client: Client; clock: Clock; random: () => number; log: Log; memory?: Memory }

type Followed = { informer: Informer<KubeObject>; holders: Set<object>; synced: boolean; remembered: boolean }

export function openObjects(deps: ObjectsDeps): Objects {
  const followed = new Map<string, Followed>()
  const closing = new Set<Promise<void>>()
  const keyFor = (kind: Kind, ref: ObjectRef) => `${apiVersionOf(kind)}/${kind.kind}/${keyOf(ref)}`

  function follow(kind: Kind, ref: ObjectRef): Followed {
    const informer = new Informer(kind, { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` }, deps)
    const entry: Followed = { informer, holders: new Set(), synced: false, remembered: informer.remembers }
    void informer.synced.then(() => (entry.synced = true))
    informer.start()
    followed.set(keyFor(kind, ref), entry)
    return entry
  }

  function close(entry: Followed): void {
    const done = entry.informer.close().finally(() => closing.delete(done))
    closing.add(done)
  }

  return {
    async find<T extends KubeObject>(kind: Kind<T>, ref: ObjectRef, signal?: AbortSignal) {
      const entry = followed.get(keyFor(kind, ref))
      // It will not be long: what is remembered counts where the server does not answer.
      if (entry?.remembered && !entry.synced) await settled(entry.informer.synced, signal)
      return entry?.synced ? (entry.informer.get(ref) as T | undefined) : deps.client.find(kind, ref, { signal })
    },
    hold(kind, ref, changed) {
      const key = keyFor(kind, ref)
      const entry = followed.get(key) ?? follow(kind, ref)
      const holder = {}
      entry.holders.add(holder)
      const silence = entry.informer.on({ add: changed, update: changed, delete: changed })
      return () => {
        silence()
        entry.holders.delete(holder)
        if (entry.holders.size > 0 || followed.get(key) !== entry) return
        followed.delete(key)
        close(entry)
      }
    },
    async close() {
      for (const entry of followed.values()) close(entry)
      followed.clear()
      await Promise.all(closing)
    },
  }
}

/** Throws what the signal says. */
async function settled(promise: Promise<void>, signal?: AbortSignal): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>()
  const stop = () => resolve()
  signal?.addEventListener('abort', stop, { once: true })
  if (signal?.aborted) stop()
  await Promise.race([promise, aborted])
  signal?.removeEventListener('abort', stop)
  signal?.throwIfAborted()
}
