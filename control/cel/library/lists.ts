// Lists and sets: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-list-library

import type { Environment } from '@marcbachmann/cel-js'
import { equal, less } from './order.ts'

class Sets {
  readonly namespace = 'sets'
}

const total = (list: readonly (bigint | number)[]): bigint | number => {
  const [first] = list
  if (typeof first === 'number') return (list as number[]).reduce((sum, each) => sum + each, 0)
  return (list as bigint[]).reduce((sum, each) => sum + each, 0n)
}

function extreme(list: readonly unknown[], name: string, before: (a: unknown, b: unknown) => boolean): unknown {
  if (!list.length) throw new Error(`${name} called on empty list`)
  return list.reduce((best, each) => (before(each, best) ? each : best))
}

const holds = (list: readonly unknown[], value: unknown) => list.some((each) => equal(each, value))

export function lists(environment: Environment): void {
  environment
    .registerFunction('list<A>.isSorted(): bool', (list: unknown[]) => list.every((each, i) => i === 0 || !less(each, list[i - 1])))
    .registerFunction('list<A>.sum(): A', total)
    .registerFunction('list<A>.min(): A', (list: unknown[]) => extreme(list, 'min', less))
    .registerFunction('list<A>.max(): A', (list: unknown[]) => extreme(list, 'max', (a, b) => less(b, a)))
    .registerFunction('list<A>.indexOf(A): int', (list: unknown[], value: unknown) => BigInt(list.findIndex((each) => equal(each, value))))
    .registerFunction('list<A>.lastIndexOf(A): int', (list: unknown[], value: unknown) =>
      BigInt(list.findLastIndex((each) => equal(each, value))),
    )
    .registerFunction('list<A>.distinct(): list<A>', (list: unknown[]) =>
      list.filter((each, i) => list.findIndex((other) => equal(each, other)) === i),
    )
    .registerFunction('list<A>.reverse(): list<A>', (list: unknown[]) => list.toReversed())
    .registerFunction('list<A>.sort(): list<A>', (list: unknown[]) => list.toSorted((a, b) => (less(a, b) ? -1 : Number(less(b, a)))))
    .registerFunction('list<A>.slice(int, int): list<A>', (list: unknown[], from: bigint, to: bigint) => {
      if (from < 0n || to < from || to > list.length) throw new Error(`cannot slice(${from}, ${to}) a list of ${list.length}`)
      return list.slice(Number(from), Number(to))
    })
    .registerType('Sets', Sets)
    .registerConstant('sets', 'Sets', new Sets())
    .registerFunction('Sets.contains(list<A>, list<A>): bool', (_: Sets, list: unknown[], part: unknown[]) =>
      part.every((each) => holds(list, each)),
    )
    .registerFunction(
      'Sets.equivalent(list<A>, list<A>): bool',
      (_: Sets, a: unknown[], b: unknown[]) => a.every((each) => holds(b, each)) && b.every((each) => holds(a, each)),
    )
    .registerFunction('Sets.intersects(list<A>, list<A>): bool', (_: Sets, a: unknown[], b: unknown[]) => a.some((each) => holds(b, each)))
}
