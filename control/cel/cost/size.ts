// Sizes of values and costs of going through them, in the units of Kubernetes' estimate. Both stop at 2^64.

import type { ASTNode } from '@marcbachmann/cel-js'

/** Elements of a list, entries of a map, characters of a text. */
export type Size = { min: number; max: number }
export type Entry = { key: Size; value: Size; isList: boolean }
export type Type = { kind: string; name: string; valueType?: Type | undefined; keyType?: Type | undefined }
/** `path`: where the value stands in the schema, beginning with the variable; empty for what was made on the way. */
export type Estimate = {
  node: ASTNode
  cost: number
  type: Type
  path: readonly string[]
  size?: Size | undefined
  entry?: Entry | undefined
}
/** What sums and products stop at. */
export const top = 2 ** 64
const perCharacter = 0.1
const perPatternCharacter = 0.25

export const unknownSize: Size = { min: 0, max: top }
export const fixed = (size: number): Size => ({ min: size, max: size })
export const capped = (cost: number): number => Math.min(top, cost)
export const product = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : capped(a * b))
/** Of going through `size` characters. */
export const traversal = (size: Size, factor = 1): number => capped(Math.ceil(size.max * perCharacter * factor))
export const pattern = (text: Size, expression: Size): number =>
  product(traversal({ min: 0, max: capped(text.max + 1) }), capped(Math.ceil(expression.max * perPatternCharacter)))
