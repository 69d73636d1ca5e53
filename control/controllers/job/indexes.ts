// Sets of completion indexes, kept as intervals in order: a job of a hundred thousand is a few of them. In the
// status they are written like `0,3-7`.

export type Indexes = readonly (readonly [first: number, last: number])[]

export const none: Indexes = []

/** What is not a number is passed over; indexes from `end` on are left out. */
export function parseIndexes(text: string | undefined, end: number): Indexes {
  const found: [number, number][] = []
  for (const part of (text ?? '').split(',')) {
    const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? []
    if (from !== undefined && Number(from) < end) found.push([Number(from), Math.min(Number(to), end - 1)])
  }
  return merged(found)
}

export const formatIndexes = (indexes: Indexes): string =>
  indexes.map(([first, last]) => (first === last ? `${first}` : `${first}${last === first + 1 ? ',' : '-'}${last}`)).join(',')

export const withIndexes = (indexes: Indexes, more: Iterable<number>): Indexes => {
  const added = Array.from(more, (index): [number, number] => [index, index])
  return added.length ? merged([...indexes, ...added]) : indexes
}

export const unionOf = (...sets: Indexes[]): Indexes => merged(sets.flat())

/** Those that are in both. */
export function commonOf(a: Indexes, b: Indexes): Indexes {
  const result: [number, number][] = []
  for (let [i, j] = [0, 0]; i < a.length && j < b.length; ) {
    const [one, other] = [a[i]!, b[j]!]
    const [first, last] = [Math.max(one[0], other[0]), Math.min(one[1], other[1])]
    if (first <= last) result.push([first, last])
    if (one[1] < other[1]) i += 1
    else j += 1
  }
  return result
}

export const countIndexes = (indexes: Indexes): number => indexes.reduce((sum, [first, last]) => sum + last - first + 1, 0)

export function hasIndex(indexes: Indexes, index: number): boolean {
  let [low, high] = [0, indexes.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (indexes[middle]![1] < index) low = middle + 1
    else high = middle
  }
  return low < indexes.length && indexes[low]![0] <= index
}

/** In order: those below `end` that are not in the set. */
export function* missingIndexes(indexes: Indexes, end: number): Generator<number> {
  let at = 0
  for (const [first, last] of indexes) {
    for (; at < first && at < end; at++) yield at
    at = Math.max(at, last + 1)
  }
  for (; at < end; at++) yield at
}

function merged(intervals: readonly (readonly [number, number])[]): Indexes {
  const result: [number, number][] = []
  for (const [first, last] of intervals.toSorted((a, b) => a[0] - b[0])) {
    const previous = result.at(-1)
    if (previous && first <= previous[1] + 1) previous[1] = Math.max(previous[1], last)
    else result.push([first, last])
  }
  return result
}
