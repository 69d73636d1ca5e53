// Calls in bursts that double while all goes well (slow start), so that a mistake that would fail them all fails few.

/** Runs `call` over `items` in order: 1, then 2, 4, … at a time. The burst in which one fails is the last. */
export async function inBursts<T, R>(items: readonly T[], call: (item: T) => Promise<R>): Promise<{ done: R[]; error?: unknown }> {
  const done: R[] = []
  let size = 1
  for (let at = 0; at < items.length; at += size, size *= 2) {
    const results = await Promise.allSettled(items.slice(at, at + size).map((item) => call(item)))
    for (const result of results) if (result.status === 'fulfilled') done.push(result.value)
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) return { done, error: failed.reason }
  }
  return { done }
}
