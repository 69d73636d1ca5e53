// One informer per kind and selection for the whole process, started when first asked for.

import type { Client } from '../client/client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { apiVersionOf, type Kind, type KubeObject } from '../kinds/kind.ts'
import type { Log } from '../log.ts'
import { Informer } from './informer.ts'
import type { Memory, Select } from './memory.ts'
import { references, trimOf } from './trim.ts'

export type Informers = {
  /** Its objects lack what only the server works with (`trim.ts`). */
  of<T extends KubeObject>(kind: Kind<T>, select?: Select): Informer<T>
  /**
   * Of all objects of this kind, for who needs only where they are, whose they are and whether they are
   * about to go: the informer that runs for others, or else one that keeps no more than that.
   */
  metadataOf(kind: Kind): Informer<KubeObject>
  /** The informer of all objects of this kind, if someone asked for it. */
  running<T extends KubeObject>(kind: Kind<T>): Informer<T> | undefined
  /** Ends the informers of a kind that is served no more, or about to be asked for otherwise. */
  forget(kind: Kind): Promise<void>
  close(): Promise<void>
}

export type InformersDeps = {
  client: Client
  log: Log
  clock?: Clock
  random?: () => number
  /** Of an earlier process. */
  memory?: Memory
}

export function informers({ client, log, clock = systemClock, random = Math.random, memory }: InformersDeps): Informers {
  const deps = { client, log, clock, random, ...(memory && { memory }) }
  const shared = new Map<string, Informer<KubeObject>>()
  const bare = new Map<string, Informer<KubeObject>>()
  const idOf = (kind: Kind, { namespace, labelSelector, fieldSelector }: Select = {}) =>
    JSON.stringify([apiVersionOf(kind), kind.kind, namespace, labelSelector, fieldSelector])

  return {
    of<T extends KubeObject>(kind: Kind<T>, select: Select = {}) {
      const id = idOf(kind, select)
      const found = shared.get(id)
      if (found) return found as unknown as Informer<T>
      const made = new Informer(kind, select, deps, { trim: trimOf<T>(kind) })
      shared.set(id, made as unknown as Informer<KubeObject>)
      made.start()
      return made
    },
    metadataOf(kind: Kind) {
      const id = idOf(kind)
      const found = shared.get(id) ?? bare.get(id)
      if (found) return found
      const made = new Informer(kind, {}, { client, log, clock, random }, { metadataOnly: true, trim: references })
      bare.set(id, made)
      made.start()
      return made
    },
    running: <T extends KubeObject>(kind: Kind<T>) => shared.get(idOf(kind)) as unknown as Informer<T> | undefined,
    async forget(kind: Kind) {
      const ended: Informer<KubeObject>[] = []
      for (const each of [shared, bare]) {
        for (const [id, informer] of each) {
          const own = informer.kind
          if (own.kind !== kind.kind || apiVersionOf(own) !== apiVersionOf(kind)) continue
          each.delete(id)
          ended.push(informer)
        }
      }
      await Promise.all(ended.map((informer) => informer.close()))
    },
    async close() {
      await Promise.all([...shared.values(), ...bare.values()].map((informer) => informer.close()))
    },
  }
}
