// Something made of all objects of some kinds, made anew when it is next asked for after one has changed.

import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Resources } from '../objects/resource.ts'

type Deps = { cache: WatchCache; resources: Resources }
type Kinds<Objects extends readonly KubeObject[]> = { [I in keyof Objects]: Kind<Objects[I]> }
type Lists<Objects extends readonly KubeObject[]> = { [I in keyof Objects]: Objects[I][] }

/** `make` gets a list for each kind. */
export function derived<Objects extends readonly KubeObject[], Made>(
  { cache, resources }: Deps,
  kinds: readonly [...Kinds<Objects>],
  make: (...lists: Lists<Objects>) => Made,
): () => Made {
  const own = kinds.map((kind: Kind) => resources.of(kind))
  let from: unknown[] = []
  let made: Made
  cache.onChange(({ prefix }) => {
    if (own.some((resource) => resource.prefix === prefix)) from = []
  })
  return () => {
    // Another collection: the cache has started over.
    if (own.some((resource, i) => cache.of(resource) !== from[i])) {
      made = make(
        ...(own.map((resource) => [...cache.of(resource).under(resource.prefix)].map(({ object }) => object)) as unknown as Lists<Objects>),
      )
      from = own.map((resource) => cache.of(resource))
    }
    return made
  }
}
