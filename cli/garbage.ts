// Garbage of a busy time goes once it is over. V8 collects while a program allocates: one that falls quiet keeps
// what its last minutes left, up to half of its heap and the buffers that garbage holds, and pages that are hardly used.

import { getHeapStatistics } from 'node:v8'
import type { Clock } from '#api/clock.ts'

export type Heap = {
  /** Bytes that the process has for objects and for the buffers that they hold, garbage and gaps among them. */
  held(): number
  /** The share of the time since it was last asked that the event loop was at work. */
  busy(): number
  collect(): void
}

const lookEveryMs = 15_000
/** A collection takes some ten milliseconds, which nobody may wait for. */
const quiet = 0.2
/** Less that has come since the last collection is not worth one. */
const growth = { factor: 1.15, bytes: 4 * 1024 * 1024 }

/** From now on, as long as the process lives. */
export function collectWhenQuiet({ clock, heap = ownHeap() }: { clock: Pick<Clock, 'after'>; heap?: Heap }): void {
  let left = 0
  const look = () => {
    // Asked each time: it is the share since the last look.
    const busy = heap.busy()
    if (busy < quiet && heap.held() > Math.max(left * growth.factor, left + growth.bytes)) {
      heap.collect()
      left = heap.held()
    }
    clock.after(lookEveryMs, look)
  }
  clock.after(lookEveryMs, look)
}

/** Collects nothing where Node was started without --expose-gc. */
function ownHeap(): Heap {
  let last = performance.eventLoopUtilization()
  return {
    held() {
      const { total_physical_size, external_memory } = getHeapStatistics()
      return total_physical_size + external_memory
    },
    busy() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, last)
      last = now
      return utilization
    },
    collect: () => globalThis.gc?.(),
  }
}
