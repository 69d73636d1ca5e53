// What a test file does when its last test has ended. The runner skips every `after` hook behind one that
// fails, and then waits for ever for what those would have closed; here each runs, the last given first, and
// a file whose end has failed ends.

import { after } from 'node:test'

const works: (() => unknown)[] = []
/** For what still holds the event loop after an end that failed, milliseconds. */
const GRACE_MS = 5_000

/** `work` runs after the last test of the file, before all that was given earlier. What it throws fails the file. */
export function atEnd(work: () => unknown): void {
  if (works.length === 0) after(end)
  works.push(work)
}

async function end(): Promise<void> {
  const failures: unknown[] = []
  for (const work of works.splice(0).reverse()) {
    try {
      await work()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length === 0) return
  setTimeout(() => process.exit(1), GRACE_MS).unref()
  throw failures.length === 1 ? failures[0] : new AggregateError(failures, 'the end of this file failed')
}
