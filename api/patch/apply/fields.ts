// Sets of field paths in the form in which managedFields keeps them (FieldsV1): a tree of path elements
// (`f:` field or map key, `k:` item by its keys, `v:` value of a set). A node is a member of the set if it
// is empty or has `.`. Trees are never changed: operations return new ones that share what is the same,
// and the very tree that came in where nothing differs.

import { parseExact } from '../../schema/exact.ts'

export type Fields = { readonly [element: string]: Fields }

export const none: Fields = Object.freeze({})
const member: Fields = Object.freeze({})

/** Whether the node itself, not only something below it, is in the set. The root never is. */
export function isMember(node: Fields): boolean {
  return '.' in node || isEmpty(node)
}

export function isEmpty(fields: Fields): boolean {
  for (const _ in fields) return false
  return true
}

/**
 * A tree under construction. To look at a node that has many elements costs as many steps, so what is known of
 * the nodes on the way to the last path is kept: a walk that goes through an object once never looks.
 */
export class FieldsBuilder {
  readonly fields: Fields = {}
  readonly #way: string[] = []
  /** The root, then the node behind each element of the way. */
  readonly #nodes: Record<string, Fields>[] = [this.fields]
  /** Of each of them, whether it is a member of which nothing below is. */
  readonly #leaves: boolean[] = [false]

  add(path: readonly string[]): void {
    let depth = 0
    while (depth < path.length && this.#way[depth] === path[depth]) depth++
    this.#way.length = depth
    this.#nodes.length = depth + 1
    this.#leaves.length = depth + 1
    for (; depth < path.length; depth++) this.#enter(path[depth] as string, depth, depth === path.length - 1)
    if (!this.#leaves[depth]) this.#join(depth)
  }

  #enter(element: string, depth: number, isLast: boolean): void {
    if (this.#leaves[depth]) this.#open(depth)
    const node = this.#nodes[depth] as Record<string, Fields>
    let next = node[element]
    this.#leaves.push(next ? next === member : isLast)
    // Leaves are all the same one, until something is below.
    next ??= node[element] = isLast ? member : {}
    this.#way.push(element)
    this.#nodes.push(next)
  }

  /** Gives a leaf a node of its own. */
  #open(depth: number): void {
    const outer = this.#nodes[depth - 1] as Record<string, Fields>
    this.#nodes[depth] = outer[this.#way[depth - 1] as string] = {}
    this.#join(depth)
  }

  /** The root is no member. */
  #join(depth: number): void {
    if (depth > 0) (this.#nodes[depth] as Record<string, Fields>)['.'] = member
    this.#leaves[depth] = false
  }
}

/** `undefined` where there is nothing left. */
function build(isIn: boolean, children: [string, Fields][]): Fields | undefined {
  if (!children.length) return isIn ? member : undefined
  const sorted = children.sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries<Fields>(isIn ? [['.', member], ...sorted] : sorted)
}

export function union(a: Fields, b: Fields): Fields {
  if (a === b || isEmpty(b)) return a
  return isEmpty(a) ? b : unionNodes(a, b, false)
}

/** Goes through each set once. */
export function unionOf(sets: readonly Fields[]): Fields {
  if (sets.length <= 2) return union(sets[0] ?? none, sets[1] ?? none)
  return unionOfNodes(sets, false)
}

function unionOfNodes(nodes: readonly Fields[], isIn: boolean): Fields {
  const children = new Map<string, Fields | Fields[]>()
  for (const node of nodes) {
    for (const [element, child] of Object.entries(node)) {
      if (element === '.') continue
      const known = children.get(element)
      if (!known) children.set(element, child)
      else if (Array.isArray(known)) known.push(child)
      else if (known !== child) children.set(element, [known, child])
    }
  }
  const joined = Array.from(children, ([element, child]): [string, Fields] => [
    element,
    Array.isArray(child) ? unionOfNodes(child, child.some(isMember)) : child,
  ])
  return build(isIn, joined) ?? none
}

function unionNodes(a: Fields, b: Fields, isIn: boolean): Fields {
  let changed = isIn !== isMember(a) && isIn
  const children: [string, Fields][] = []
  for (const [element, node] of Object.entries(a)) {
    if (element === '.') continue
    const other = b[element]
    const joined = other ? unionNodes(node, other, isMember(node) || isMember(other)) : node
    changed ||= joined !== node
    children.push([element, joined])
  }
  for (const [element, node] of Object.entries(b)) {
    if (element === '.' || element in a) continue
    changed = true
    children.push([element, node])
  }
  return changed ? (build(isIn, children) ?? none) : a
}

/** What is in `a` and not in `b`. */
export const difference = (a: Fields, b: Fields): Fields => (isEmpty(b) ? a : (differNodes(a, b, false) ?? none))

function differNodes(a: Fields, b: Fields, isIn: boolean): Fields | undefined {
  let changed = false
  const children: [string, Fields][] = []
  for (const [element, node] of Object.entries(a)) {
    if (element === '.') continue
    const other = b[element]
    const rest = other ? differNodes(node, other, isMember(node) && !isMember(other)) : node
    changed ||= rest !== node
    if (rest) children.push([element, rest])
  }
  return changed || (!isIn && '.' in a) || (!isIn && !children.length) ? build(isIn, children) : a
}

export const intersection = (a: Fields, b: Fields): Fields => crossNodes(a, b, false) ?? none

function crossNodes(a: Fields, b: Fields, isIn: boolean): Fields | undefined {
  const children: [string, Fields][] = []
  for (const [element, node] of Object.entries(a)) {
    const other = element === '.' ? undefined : b[element]
    const shared = other && crossNodes(node, other, isMember(node) && isMember(other))
    if (shared) children.push([element, shared])
  }
  return build(isIn, children)
}

/** Each member as Kubernetes spells a path: `.spec.containers[name="a"].image`. */
export function pathsOf(fields: Fields, prefix = ''): string[] {
  return Object.entries(fields).flatMap(([element, node]) => {
    if (element === '.') return []
    const path = prefix + spell(element)
    return [...(isMember(node) ? [path] : []), ...pathsOf(node, path)]
  })
}

function spell(element: string): string {
  const rest = element.slice(2)
  if (element.startsWith('f:')) return `.${rest}`
  if (element.startsWith('v:')) return `[=${rest}]`
  if (element.startsWith('i:')) return `[${rest}]`
  const keys = Object.entries(parseExact(rest) as Record<string, unknown>)
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
}
