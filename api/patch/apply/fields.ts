// Sets of field paths in the form in which managedFields keeps them (FieldsV1): a tree of path elements
// (`f:` field or map key, `k:` item by its keys, `v:` value of a set). A node is a member of the set if it
// is empty or has `.`. Trees are never changed: operations return new ones that share what is the same,
// and the very tree that came in where nothing differs.

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

/** Adds a path to a tree under construction. */
export function insert(tree: Fields, path: readonly string[]): void {
  let node = tree as Record<string, Fields>
  let fresh = true // the root is no member
  for (const element of path) {
    if (!fresh && isEmpty(node)) node['.'] = member
    const next = node[element]
    fresh = !next
    node = next ?? (node[element] = {})
  }
  if (!fresh && !isEmpty(node)) node['.'] = member
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
  const keys = Object.entries(JSON.parse(rest) as Record<string, unknown>)
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`
}
