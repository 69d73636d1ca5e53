import { setTimeout as sleep } from 'node:timers/promises'

/** Runs `check` until it no longer throws, and returns what it returned; after `withinMs` its last error. */
export async function eventually<T>(check: () => Promise<T>, { withinMs = 20_000, everyMs = 100 } = {}): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await check()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(everyMs)
    }
  }
}
