// Long work of one turn of the event loop, cut into short ones: whoever else waits comes between.

import { setImmediate as nextTurn } from 'node:timers/promises'

/** Milliseconds of one piece of work. */
const longest = 4

export type Breathe = () => Promise<void> | undefined

/** The function gives way where it has been long enough since it last did, and else costs next to nothing. */
export function breather(): Breathe {
  let since = performance.now()
  const giveWay = async () => {
    await nextTurn()
    since = performance.now()
  }
  return () => (performance.now() - since < longest ? undefined : giveWay())
}

/**
 * For many who begin at the same time what takes a moment each: so many are let through in one turn of the event loop,
 * the rest in the turns that follow, in the order in which they came.
 */
export function turnstile(most: number): Breathe {
  const waiting: (() => void)[] = []
  let passed = 0
  const next = () => {
    passed = 0
    for (const pass of waiting.splice(0, most)) {
      passed += 1
      pass()
    }
    if (passed > 0) setImmediate(next)
  }
  return () => {
    if (passed === 0) setImmediate(next)
    if (passed < most) {
      passed += 1
      return undefined
    }
    return new Promise<void>((resolve) => waiting.push(resolve))
  }
}

/**
 * Work that says where it may be interrupted. To run it whole costs as much as a function: small work has few such
 * places, and none inside of a walk over few values.
 */
export type Steps<T> = Generator<undefined, T>

export function atOnce<T>(steps: Steps<T>): T {
  let step = steps.next()
  while (!step.done) step = steps.next()
  return step.value
}

/** Between the steps others have their turns, as `breathe` says. */
export async function gently<T>(steps: Steps<T>, breathe: Breathe): Promise<T> {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    const pause = breathe()
    if (pause) await pause
  }
}
