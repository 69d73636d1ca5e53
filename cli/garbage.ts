// Garbage of a busy time goes once it is over. V8 collects while a program allocates: one that falls quiet keeps
// what its last minutes left, up to half of its heap and the buffers that garbage holds, and pages that are hardly used.

import { getHeapStatistics } from 'node:v8'
import type { Clock } from '#api/clock.ts'

export type Heap = {
  /** Bytes that the process has for objects and for the buffers that they hold, garbage and gaps among them. */
  held(): number
  /** Of a processor, since it was last asked: on a busy machine the event loop seems at work while others are. */
  busy(): number
  collect(): void
}

const lookEveryMs = 15_000
/** A collection takes a tenth of a second, which nobody may wait for. */
const quiet = 0.05
/** Less that has come since the last collection is not worth one. */
const growth = { factor: 1.3, bytes: 8 * 1024 * 1024 }

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
  let last = { at: performance.now(), cpu: process.cpuUsage() }
  return {
    held() {
      const { total_physical_size, external_memory } = getHeapStatistics()
      return total_physical_size + external_memory
    },
    busy() {
      const now = { at: performance.now(), cpu: process.cpuUsage() }
      const used = now.cpu.user + now.cpu.system - last.cpu.user - last.cpu.system
      const share = used / 1000 / (now.at - last.at)
      last = now
      return share
    },
    // Any other keeps the pages that it has emptied.
    collect: () => globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' }),
  }
}
