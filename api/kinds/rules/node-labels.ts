// Labels of nodes that have better names by now, and where objects still ask for them.

import type { NodeSelectorTerm } from '../../types/core-v1.gen.ts'
import { isLabelValue } from './names.ts'

const deprecated = new Map([
  ['beta.kubernetes.io/arch', 'deprecated since v1.14; use "kubernetes.io/arch" instead'],
  ['beta.kubernetes.io/os', 'deprecated since v1.14; use "kubernetes.io/os" instead'],
  ['failure-domain.beta.kubernetes.io/region', 'deprecated since v1.17; use "topology.kubernetes.io/region" instead'],
  ['failure-domain.beta.kubernetes.io/zone', 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead'],
  ['beta.kubernetes.io/instance-type', 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead'],
  ['app.kubernetes.io/created-by', 'deprecated since v1.9'],
  ['scheduler.alpha.kubernetes.io/preferAvoidPods', 'deprecated since v1.22; use Taints and Tolerations instead'],
  ['node-role.kubernetes.io/master', 'use "node-role.kubernetes.io/control-plane" instead'],
])

/** Undefined for a label that is as good as any. */
export const labelDeprecation = (key: string): string | undefined => deprecated.get(key)

/** `[key]` in the text of a field. */
export function* selectorWarnings(at: string, selector: Readonly<Record<string, string>> | undefined): Generator<string> {
  for (const key in selector) {
    const why = labelDeprecation(key)
    if (why) yield `${at}[${key}]: ${why}`
  }
}

/** `preferred`: values may be such as no label has. */
export function* termWarnings(at: string, term: NodeSelectorTerm | undefined, preferred: boolean): Generator<string> {
  for (const [i, { key, values = [] }] of (term?.matchExpressions ?? []).entries()) {
    const here = `${at}.matchExpressions[${i}]`
    const why = labelDeprecation(key)
    if (why) yield `${here}.key: ${key} is ${why}`
    if (!preferred) continue
    for (const [j, value] of values.entries())
      for (const wrong of isLabelValue(value)) yield `${here}.values[${j}]: ${value} is invalid, ${wrong}`
  }
}
