// What a pod gets from the RuntimeClass that it names: the overhead of its sandbox, and the nodes that have
// the handler. A pod that asks for a class that is not there asks for isolation that it would not get.

import { RuntimeClass } from '#api/kinds/index.ts'
import { same } from '#api/kinds/rules/faults.ts'
import type { Pod, Toleration } from '#api/types/core-v1.gen.ts'
import { type Admission, forbidden, isKind, type Review } from './admission.ts'
import type { Find } from './find.ts'

export const runtimeClasses = ({ find }: { find: Find }): Admission => ({
  name: 'RuntimeClass',
  async mutate(review) {
    const spec = podOf(review)?.spec
    if (!spec?.runtimeClassName) return
    const { overhead, scheduling } = await classOf(find, review, spec.runtimeClassName)
    if (overhead?.podFixed && Object.keys(spec.overhead ?? {}).length === 0) spec.overhead = { ...overhead.podFixed }
    if (scheduling?.nodeSelector) spec.nodeSelector = selectorOf(review, scheduling.nodeSelector, spec.nodeSelector)
    if (scheduling?.tolerations?.length) spec.tolerations = withTolerations(spec.tolerations ?? [], scheduling.tolerations)
  },
  async validate(review) {
    const spec = podOf(review)?.spec
    if (!spec) return
    const given = spec.overhead ?? {}
    if (!spec.runtimeClassName && Object.keys(given).length === 0) return
    const fixed = spec.runtimeClassName ? (await classOf(find, review, spec.runtimeClassName)).overhead?.podFixed : undefined
    if (fixed && !same(fixed, given)) throw forbidden(review, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    if (!fixed && Object.keys(given).length > 0)
      throw forbidden(review, 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead')
  },
})

function podOf(review: Review): Pod | undefined {
  const isNew = review.operation === 'CREATE' && review.subresource === '' && isKind(review, '', 'Pod')
  return isNew ? (review.object as Pod) : undefined
}

async function classOf(find: Find, review: Review, name: string): Promise<RuntimeClass> {
  const found = await find(RuntimeClass, { name })
  if (!found) throw forbidden(review, `pod rejected: RuntimeClass ${JSON.stringify(name)} not found`)
  return found
}

type Selector = Record<string, string>

function selectorOf(review: Review, ofClass: Selector, ofPod: Selector = {}): Selector {
  for (const [key, value] of Object.entries(ofClass)) {
    const own = ofPod[key]
    if (own === undefined || own === value) continue
    const field = (owner: string, said: string) => `${owner}[${key}] = ${said}`
    const sides = `${field('runtimeClass.Scheduling.NodeSelector', value)}; ${field('pod.Spec.NodeSelector', own)}`
    throw forbidden(review, `conflict: ${sides}`)
  }
  return { ...ofPod, ...ofClass }
}

/** Those of the pod first; none twice. */
function withTolerations(ofPod: readonly Toleration[], ofClass: readonly Toleration[]): Toleration[] {
  const text = ({ key, operator, value, effect, tolerationSeconds }: Toleration) =>
    JSON.stringify([key, operator, value, effect, tolerationSeconds])
  const there = new Set(ofPod.map(text))
  return [...ofPod, ...ofClass.filter((toleration) => !there.has(text(toleration))).map((toleration) => ({ ...toleration }))]
}
