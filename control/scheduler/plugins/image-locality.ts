// Nodes that have a pod's images already are a little better, the more so the larger the images are. What only few
// nodes have counts less, so that not all pods of an image end up where it came first.

import type { Cluster } from '../cluster/cluster.ts'
import type { Plugin } from '../framework/plugin.ts'

/** Bytes below which an image does not count, and those of one container above which it counts no more. */
const least = 23 * 1024 * 1024
const most = 1000 * 1024 * 1024

export const imageLocality = ({ cluster }: { cluster: Cluster }): Plugin => ({
  name: 'ImageLocality',
  preScore({ pod }) {
    const containers = [...(pod.spec.initContainers ?? []), ...pod.spec.containers]
    const wanted = containers.flatMap(({ image = '' }) =>
      spellings(image)
        .filter((name) => cluster.nodesWithImage(name) > 0)
        .slice(0, 1),
    )
    if (wanted.length === 0) return undefined
    const shares = wanted.map((name) => ({ name, share: cluster.nodesWithImage(name) / cluster.nodes.length }))
    const highest = most * containers.length
    return {
      of({ images }) {
        let sum = 0
        for (const { name, share } of shares) sum += (images.get(name) ?? 0) * share
        return Math.floor((100 * (Math.min(Math.max(sum, least), highest) - least)) / (highest - least))
      },
    }
  },
})

/** As nodes may report it. */
function spellings(image: string): string[] {
  const tagged = image.lastIndexOf(':') > image.lastIndexOf('/') || image.includes('@') ? image : `${image}:latest`
  return [tagged, `docker.io/library/${tagged}`, `docker.io/${tagged}`]
}
