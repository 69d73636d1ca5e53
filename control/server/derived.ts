// Something made of all objects of a kind, made anew when it is next asked for after one has changed.

import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { Resources } from './resource.ts'
import type { WatchCache } from './watch-cache.ts'

type Deps = { cache: WatchCache; resources: Resources }

export function derived<T extends KubeObject, Made>({ cache, resources }: Deps, kind: Kind<T>, make: (objects: T[]) => Made): () => Made {
  const own = resources.of(kind)
  let from: unknown
  let made: Made
  cache.onChange(({ prefix }) => {
    if (prefix === own.prefix) from = undefined
  })
  return () => {
    const collection = cache.of(own)
    // Another collection: the cache has started over.
    if (from !== collection) {
      made = make([...collection.under(own.prefix)].map(({ object }) => object as T))
      from = collection
    }
    return made
  }
}
