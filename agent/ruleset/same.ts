// Whether what the kernel has is what we want, as far as it matters to packets.

import { type ChainSpec, describeExpression, type RuleSpec, type SetSpec } from 'nft-js'

export const sameSet = (a: SetSpec, b: SetSpec): boolean => shape(a) === shape(b)

const shape = (spec: SetSpec): string => JSON.stringify([spec.key, spec.data, spec.flags?.toSorted(), spec.size, spec.timeoutMs])

/** Of chains: their hooks. They cannot be changed, only made anew. */
export const sameBase = (a: ChainSpec, b: ChainSpec): boolean => base(a) === base(b)

const base = ({ base }: ChainSpec): string => (base ? `${base.type} ${base.hook} ${base.priority} ${base.policy ?? 'accept'}` : '')

/** Counts of counters are left out. */
export const sameRules = (a: readonly RuleSpec[], b: readonly RuleSpec[]): boolean =>
  a === b || (a.length === b.length && text(a) === text(b))

const text = (rules: readonly RuleSpec[]): string =>
  rules.map((rule) => [...rule.expressions.map(describeExpression), rule.comment ?? ''].join('\n')).join('\n\n')
