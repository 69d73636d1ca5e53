// Repeatable randomness for tests.

/** A whole number below the limit. */
export type Below = (limit: number) => number

export const randomly = (seed: number): Below => {
  let state = seed >>> 0
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
}

export const pick = <T>(below: Below, list: readonly T[]): T => list[below(list.length)] as T
