// Labels that say what a node is. An annotation of the Node remembers which of them are ours, so that what is no longer true
// goes, and what others set stays.

import type { Node } from '#api/types/core-v1.gen.ts'

const remembered = 'hardware.coracle.dev/labels'

/** What makes the labels of `node` right, as a merge patch of its metadata; undefined: they are. */
export function featurePatch({ metadata }: Node, features: Readonly<Record<string, string>>): object | undefined {
  const { labels = {}, annotations = {} } = metadata
  const names = Object.keys(features).toSorted().join()
  const gone = (annotations[remembered] ?? '').split(',').filter((name) => name !== '' && !(name in features))
  const isRight = annotations[remembered] === names && Object.entries(features).every(([name, value]) => labels[name] === value)
  if (isRight) return undefined
  return {
    labels: { ...features, ...Object.fromEntries(gone.map((name) => [name, null])) },
    annotations: { [remembered]: names },
  }
}
