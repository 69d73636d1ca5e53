// What an expression may cost at most, before it runs: the estimate of Kubernetes (cel-go checker/cost.go
// and apiserver pkg/cel/library/cost.go), in its units. A definition is taken or refused by it, so it
// follows its model also where that guesses badly.

import type { ASTNode } from '@marcbachmann/cel-js'
import { callCost } from './call.ts'
import type { Extent } from './extent.ts'
import { capped, type Entry, type Estimate, fixed, product, type Size, type Type, top, traversal, unknownSize } from './size.ts'

type Local = Pick<Estimate, 'path' | 'size' | 'entry'>

const listCost = 10
const mapCost = 30
const union = (a: Size, b: Size): Size => ({ min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) })
const merged = (a: Entry | undefined, b: Entry | undefined): Entry | undefined =>
  a && b && { key: union(a.key, b.key), value: union(a.value, b.value), isList: a.isList }
const sum = (estimates: readonly Estimate[]): number => capped(estimates.reduce((all, { cost }) => all + cost, 0))
const dyn: Type = { kind: 'dyn', name: 'dyn' }
const scalars = new Set(['bool', 'int', 'uint', 'double', 'google.protobuf.Timestamp', 'google.protobuf.Duration'])
const isScalar = (type: Type): boolean =>
  scalars.has(type.name) || (type.kind === 'optional' && !!type.valueType && isScalar(type.valueType))
const typeOf = (node: ASTNode): Type => (node as { checkedType?: Type }).checkedType ?? dyn

/** `node` is checked; `root`: how large what `self` and `oldSelf` stand for can get. */
export function costOf(node: ASTNode, root: Extent): number {
  return new Estimator(root).estimate(node).cost
}

class Estimator {
  readonly #root: Extent
  readonly #locals = new Map<string, Local[]>()

  constructor(root: Extent) {
    this.#root = root
  }

  estimate(node: ASTNode): Estimate {
    const made = this.#made(node)
    return { ...made, size: made.size ?? this.sizeAt(made.path) ?? (isScalar(made.type) ? fixed(1) : undefined) }
  }

  /** By what the schema says of the place. */
  sizeAt(path: readonly string[]): Size | undefined {
    if (path.length === 0) return undefined
    let at: Extent | undefined = this.#root
    for (const step of path.slice(1)) {
      if (step === '@items' || step === '@values') at = at?.item
      else at = step === '@keys' ? at?.key : at?.fields?.get(step)
    }
    return at && { min: 0, max: at.most }
  }

  #made(node: ASTNode): Estimate {
    const of = (cost: number, more: Partial<Estimate> = {}): Estimate => ({
      node,
      type: typeOf(node),
      path: [],
      cost: capped(cost),
      ...more,
    })
    switch (node.op) {
      case 'value': {
        const value = node.args as unknown
        if (typeof value === 'string') return of(0, { size: fixed(Array.from(value).length) })
        return of(0, { size: fixed(value instanceof Uint8Array ? value.length : 1) })
      }
      case 'id':
        return this.#name(node.args, of)
      case '.': {
        const [inner, field] = node.args
        const from = this.estimate(inner)
        const selects = from.type.kind === 'map' || from.type.kind === 'message' || from.type.kind === 'param'
        return of(from.cost + (selects ? 1 : 0), { path: [...from.path, field] })
      }
      case '[]': {
        const [from, key] = node.args.map((each) => this.estimate(each)) as [Estimate, Estimate]
        const path = [...from.path, from.type.kind === 'list' ? '@items' : '@values']
        return of(from.cost + key.cost + 1, { path, size: from.entry?.value })
      }
      case '.?':
        return of(this.estimate(node.args[0]).cost + 1)
      case '[?]':
        return of(sum((node.args as ASTNode[]).map((each) => this.estimate(each))) + 1)
      case 'list':
        return this.#list(node.args, of)
      case 'map':
        return this.#map(node.args, of)
      case '!_':
      case '-_':
        return of(this.estimate(node.args).cost + 1)
      case '?:': {
        const [condition, yes, no] = (node.args as ASTNode[]).map((each) => this.estimate(each)) as [Estimate, Estimate, Estimate]
        const cost = condition.cost + Math.max(yes.cost, no.cost)
        return of(cost, { size: union(yes.size ?? unknownSize, no.size ?? unknownSize), entry: merged(yes.entry, no.entry) })
      }
      case 'call':
      case 'rcall':
        return this.#call(node, of)
      default:
        return this.#binary(node, of)
    }
  }

  #name(name: string, of: Of): Estimate {
    const local = this.#locals.get(name)?.at(-1)
    if (!local) return of(1, { path: [name] })
    return of(1, { ...local, size: this.sizeAt(local.path) ?? local.size })
  }

  #list(items: readonly ASTNode[], of: Of): Estimate {
    const estimates = items.map((each) => this.estimate(each))
    const value = estimates.map(({ size }) => size ?? unknownSize).reduce(union, { min: items.length ? top : 0, max: 0 })
    return of(sum(estimates) + listCost, { size: fixed(items.length), entry: { key: fixed(1), value, isList: true } })
  }

  #map(entries: readonly [ASTNode, ASTNode][], of: Of): Estimate {
    const none: Size = { min: entries.length ? top : 0, max: 0 }
    const keys = entries.map(([key]) => this.estimate(key))
    const values = entries.map(([, value]) => this.estimate(value))
    const sizes = (estimates: Estimate[]) => estimates.map(({ size }) => size ?? unknownSize).reduce(union, none)
    const entry: Entry = { key: sizes(keys), value: sizes(values), isList: false }
    return of(sum(keys) + sum(values) + mapCost, { size: fixed(entries.length), entry })
  }

  #binary(node: ASTNode, of: Of): Estimate {
    const [left, right] = (node.args as ASTNode[]).map((each) => this.estimate(each)) as [Estimate, Estimate]
    const both = left.cost + right.cost
    const [a, b] = [left.size ?? unknownSize, right.size ?? unknownSize]
    const types = [left.type, right.type]
    const may = (...kinds: string[]) => types.every(({ kind, name }) => kind === 'dyn' || kinds.includes(kind) || kinds.includes(name))
    switch (node.op) {
      case '||':
      case '&&':
        return of(both)
      case 'in':
        return of(both + (may('list') || right.type.kind === 'list' || right.type.kind === 'dyn' ? b.max : 1))
      case '==':
      case '!=': {
        const opaque = left.type.name === right.type.name && constantEquality.has(left.type.name) && node.op === '=='
        return of(both + (opaque ? 1 : traversal({ min: 0, max: Math.min(a.max, b.max) })))
      }
      case '<':
      case '<=':
      case '>':
      case '>=':
        return of(both + (may('string', 'bytes') ? Math.max(1, traversal({ min: 0, max: Math.min(a.max, b.max) })) : 1))
      case '+': {
        const size = { min: capped(a.min + b.min), max: capped(a.max + b.max) }
        if (may('list') && left.type.kind === 'list') return of(both + 1, { size, entry: merged(left.entry, right.entry) })
        if (may('string', 'bytes')) return of(both + traversal(size), { size, entry: merged(left.entry, right.entry) })
        return of(both + 1)
      }
      default:
        return of(both + 1)
    }
  }

  #call(node: ASTNode, of: Of): Estimate {
    const [given, ...rest] = node.args as [string, ...unknown[]]
    const [receiver, args] = node.op === 'rcall' ? (rest as [ASTNode, ASTNode[]]) : [undefined, rest[0] as ASTNode[]]
    // The operand of has() is looked at, and no more.
    if (given === 'hAs') return of(this.estimate((args[0]!.args as [ASTNode])[0]).cost)
    if (receiver) {
      const macro = this.#macro(given, receiver, args, of)
      if (macro) return macro
    }
    // `sets.contains(…)`: the name is a part of the function's.
    const target = receiver && !namespaces.has(typeOf(receiver).name) ? this.estimate(receiver) : undefined
    const estimates = args.map((each) => this.estimate(each))
    if (given === 'dyn' && !target && estimates[0]) {
      const [{ cost, size, entry }] = estimates as [Estimate]
      return of(cost + 1, { size, entry })
    }
    const { cost, size } = callCost(given, target, estimates, (list) => this.sizeAt([...list.path, '@items']) ?? unknownSize)
    return of((target?.cost ?? 0) + sum(estimates) + cost, { size })
  }

  /** What is expanded into a loop, as its loop costs. */
  #macro(name: string, receiver: ASTNode, args: readonly ASTNode[], of: Of): Estimate | undefined {
    if (name === 'bind' && receiver.op === 'id' && receiver.args === 'cel') {
      const value = this.estimate(args[1]!)
      const { cost, size, entry } = this.#with([[nameOf(args[0]), value]], () => this.estimate(args[2]!))
      return of(listCost + value.cost + cost, { size, entry })
    }
    if (name === 'optMap' || name === 'optFlatMap') {
      const from = this.estimate(receiver)
      const { cost } = this.#with([[nameOf(args[0]), { path: [] }]], () => this.estimate(args[1]!))
      // hasValue(), then a binding of value(), wrapped again by optMap alone.
      return of(from.cost + 1 + listCost + from.cost + 1 + cost + (name === 'optMap' ? 1 : 0))
    }
    const two = macrosOfTwo[name]?.includes(args.length) ?? false
    if (!two && macrosOfOne[name]?.includes(args.length) !== true) return undefined
    const range = this.estimate(receiver)
    const isList = range.entry?.isList ?? range.type.kind === 'list'
    const keys: Local = { path: [...range.path, isList ? '@indices' : '@keys'], size: range.entry?.key }
    const values: Local = { path: [...range.path, isList ? '@items' : '@values'], size: range.entry?.value }
    const names = args.slice(0, two ? 2 : 1).map(nameOf)
    const locals: [string, Local][] = two
      ? [
          [names[0]!, keys],
          [names[1]!, values],
        ]
      : [[names[0]!, isList ? values : keys]]
    const count = range.size ?? unknownSize
    const bodies = this.#with(locals, () => args.slice(names.length).map((each) => this.estimate(each)))
    const loop = (init: number, step: number, result: number, more: Partial<Estimate> = {}) =>
      of(range.cost + init + product(count.max, step) + result, more)
    const [first, second] = bodies as [Estimate, Estimate | undefined]
    const last = second ?? first
    const made = last.size ?? unknownSize
    const entry = (value: Size, isList = true): Entry => ({
      key: isList ? fixed(1) : unknownSize,
      value: union({ min: 0, max: 0 }, value),
      isList,
    })
    switch (name) {
      case 'all':
        return loop(0, first.cost + 3, 1, { size: fixed(1) })
      case 'exists':
        return loop(0, first.cost + 4, 1, { size: fixed(1) })
      case 'exists_one':
      case 'existsOne':
        return loop(0, first.cost + 2, 2, { size: fixed(1) })
      case 'filter':
        return loop(listCost, first.cost + 3 + listCost, 1, {
          size: count,
          entry: entry(this.sizeAt(values.path) ?? values.size ?? unknownSize),
        })
      case 'map':
      case 'transformList':
        return loop(listCost, sum(bodies) + 2 + listCost, 1, { size: count, entry: entry(made) })
      default:
        return loop(mapCost, sum(bodies) + (name === 'transformMap' ? 3 : 2 + mapCost), 1, { size: count })
    }
  }

  #with<T>(locals: readonly [name: string, local: Local][], run: () => T): T {
    for (const [name, { path, size, entry }] of locals) this.#locals.set(name, [...(this.#locals.get(name) ?? []), { path, size, entry }])
    const result = run()
    for (const [name] of locals) this.#locals.get(name)?.pop()
    return result
  }
}

type Of = (cost: number, more?: Partial<Estimate>) => Estimate

const namespaces = new Set(['Sets', 'Ips', 'Formats'])
const constantEquality = new Set(['IP', 'CIDR', 'Quantity', 'Semver', 'Authorizer', 'PathCheck', 'GroupCheck', 'ResourceCheck', 'Decision'])
/** By how many arguments they take: variables first, then bodies. */
const macrosOfOne: Readonly<Record<string, readonly number[]>> = { all: [2], exists: [2], exists_one: [2], map: [2, 3], filter: [2] }
const macrosOfTwo: Readonly<Record<string, readonly number[]>> = {
  all: [3],
  exists: [3],
  existsOne: [3],
  transformList: [3, 4],
  transformMap: [3, 4],
}
const nameOf = (node: ASTNode | undefined): string => (node?.op === 'id' ? node.args : '')
