// A client whose own writes are in the informers' caches once they are answered: what was written at once, of
// what was deleted as soon as the watch tells. A controller never acts on a cache that has not seen its own last
// write: it does not repeat what it just did, and does not count what it just deleted.

import type { Client, WriteOptions } from '../client/client.ts'
import { type Kind, type KubeObject, keyOf } from '../kinds/kind.ts'
import type { Informers } from './informers.ts'

export function observing(client: Client, informers: Informers): Client {
  const seen = async <A extends { kind: string }>(kind: Kind, write: Promise<A>, options?: WriteOptions): Promise<A> => {
    const answer = await write
    // Some subresources answer with another kind.
    if (!options?.dryRun && answer.kind === kind.kind) informers.running(kind)?.observe(answer as A & KubeObject)
    return answer
  }
  return {
    kinds: (options) => client.kinds(options),
    get: (kind, ref, options) => client.get(kind, ref, options),
    find: (kind, ref, options) => client.find(kind, ref, options),
    list: (kind, options) => client.list(kind, options),
    watch: (kind, options) => client.watch(kind, options),
    create: (kind, object, options) => seen(kind, client.create(kind, object, options), options),
    update: (kind, object, options) => seen(kind, client.update(kind, object, options), options),
    patch: (kind, ref, type, patch, options) => seen(kind, client.patch(kind, ref, type, patch, options), options),
    async delete(kind, ref, options) {
      await client.delete(kind, ref, options)
      await informers.running(kind)?.deleted(keyOf(ref), options?.preconditions?.uid, options?.signal)
    },
    log: (pod, options) => client.log(pod, options),
  }
}
