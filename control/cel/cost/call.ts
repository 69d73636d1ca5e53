// What calls of functions cost, beside their arguments (apiserver pkg/cel/library/cost.go, cel-go checker/cost.go).

import { capped, type Estimate, pattern, product, type Size, traversal, unknownSize } from './size.ts'

export type CallCost = { cost: number; size?: Size | undefined }

const check = 350_000
/** Bytes of an address. */
const address: Size = { min: 4, max: 16 }
const twoAddresses: Size = { min: 8, max: 32 }
const longestName = 128
/** A list that is made, and the call itself. */
const newList = 11
/** Names under the hood: see environment.ts. */
const spelled: Readonly<Record<string, string>> = { matchesPattern: 'matches', formatText: 'format', splitText: 'split' }

/** `items`: how large the items of a list are. */
export function callCost(
  given: string,
  target: Estimate | undefined,
  args: readonly Estimate[],
  items: (list: Estimate) => Size,
): CallCost {
  const [first, second] = args
  const sizeOf = (each: Estimate | undefined): Size => each?.size ?? unknownSize
  const of = sizeOf(target)
  const name = spelled[given] ?? given
  switch (name) {
    case 'check':
      return { cost: check }
    case 'fieldSelector':
    case 'labelSelector': {
      const size = sizeOf(first)
      return { cost: capped(10 + traversal(size) + Math.ceil(Math.ceil(size.max / 2) * 50)) }
    }
    case 'isSorted':
    case 'sum':
    case 'max':
    case 'min':
    case 'indexOf':
    case 'lastIndexOf':
    case 'includes': {
      if (!target) return { cost: 1 }
      const item = target.type.valueType
      if (!item) return { cost: name === 'includes' ? of.max : traversal(of) }
      const isText = item.name === 'string' || item.name === 'bytes'
      return { cost: product(of.max, isText ? capped(1 + traversal(items(target))) : 1) }
    }
    case 'url':
    case 'jsonpatch.escapeKey':
      return { cost: traversal(sizeOf(first)), size: sizeOf(first) }
    case 'lowerAscii':
    case 'upperAscii':
    case 'substring':
    case 'trim':
      return { cost: traversal(of), size: of }
    case 'replace':
      return { cost: traversal(of, 2), size: replaced(of, sizeOf(first), sizeOf(second)) }
    case 'split': {
      const most =
        second?.node.op === 'value' && typeof second.node.args === 'bigint' ? Number(BigInt.asUintN(64, second.node.args)) : of.max
      return { cost: traversal(of, 2), size: { min: 0, max: most } }
    }
    case 'join': {
      const item = target?.type.valueType && items(target)
      const separators = first ? product(sizeOf(first).max, Math.max(0, of.max - 1)) : 0
      const size = { min: 0, max: capped((item ? product(of.max, item.max) : 0) + separators) }
      return { cost: traversal(size), size }
    }
    case 'find':
    case 'findAll':
      return { cost: pattern(of, sizeOf(first)), size: { min: 0, max: of.max } }
    case 'matches':
      return { cost: target ? pattern(of, sizeOf(first)) : pattern(sizeOf(first), sizeOf(second)) }
    case 'contains':
      // Of texts; `sets.contains` has no target.
      return !target ? { cost: setCost(args) } : { cost: product(traversal(of), traversal(sizeOf(first))) }
    case 'equivalent':
    case 'intersects':
      return { cost: setCost(args, name === 'equivalent' ? 2 : 1) }
    case 'sort':
    case 'sortBy':
    case 'distinct':
      return { cost: capped(newList + 2 * product(of.max, of.max)), size: { min: 0, max: of.max } }
    case 'reverse':
      return { cost: capped(newList + of.max), size: of }
    case 'slice': {
      const [from, to] = args.map(({ node }) => (node.op === 'value' && typeof node.args === 'bigint' ? Number(node.args) : undefined))
      const length = from === undefined || to === undefined ? of.max : Math.max(0, to - from)
      return { cost: capped(newList + length), size: { min: 0, max: length } }
    }
    case 'startsWith':
    case 'endsWith':
      return { cost: traversal(sizeOf(first)) }
    case 'format':
      return { cost: traversal(of) }
    case 'cidr':
    case 'isIP':
    case 'isCIDR':
    case 'quantity':
    case 'isQuantity':
    case 'semver':
    case 'isSemver':
      return { cost: traversal(sizeOf(first)) }
    case 'ip':
      return { cost: first ? traversal(sizeOf(first)) : 1 }
    case 'isCanonical':
      return { cost: traversal(sizeOf(first), 2) }
    case 'containsIP':
    case 'containsCIDR': {
      const own = name === 'containsIP' ? traversal(twoAddresses) : traversal(twoAddresses) + traversal(address) + 1
      return { cost: capped(own + (first?.type.name === 'string' ? traversal(sizeOf(first)) : 0)) }
    }
    case 'validate':
      return { cost: capped(Math.ceil(traversal(sizeOf(first)) * longestName * 0.25)) }
    case 'string':
      if (first?.type.name !== 'bytes') return { cost: 1 }
      return { cost: traversal(sizeOf(first)), size: { min: Math.floor(sizeOf(first).min / 4), max: sizeOf(first).max } }
    case 'bytes':
      if (first?.type.name !== 'string') return { cost: 1 }
      return { cost: traversal(sizeOf(first)), size: { min: sizeOf(first).min, max: capped(sizeOf(first).max * 4) } }
    default:
      return { cost: 1 }
  }

  function setCost([a, b]: readonly Estimate[], times = 1): number {
    return capped(product(sizeOf(a).max, sizeOf(b).max) * times + 1)
  }
}

/** Of a text in which each `from` becomes a `to`. */
function replaced(text: Size, from: Size, to: Size): Size {
  const count = (size: number, one: number, never: boolean) => (one === 0 ? size + 1 : never ? 0 : Math.ceil(size / one))
  const kept = (size: number, one: number, never: boolean) => (one === 0 || never ? size : 0)
  const grows = { max: to.max <= from.min, min: from.max <= to.min }
  return {
    min: capped(product(count(text.min, from.max, grows.min), to.min) + kept(text.min, from.max, grows.min)),
    max: capped(product(count(text.max, from.min, grows.max), to.max) + kept(text.max, from.min, grows.max)),
  }
}
