// How much memory a piece of work makes the kernel keep, from the counts of its allocators. Others on the
// machine count too: the work is to be larger than they are, and what came before is let settle.

import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

const pauseMs = 100
const mostPauses = 50
/** Less than this between two looks is noise. */
const quietBytes = 64 * 1024

/** Objects in use of the general caches, from which tables, sets and elements come, and the large areas beside them. */
const kernelBytes = async (): Promise<number> => {
  const [slabs, memory] = await Promise.all([readFile('/proc/slabinfo', 'utf8'), readFile('/proc/meminfo', 'utf8')])
  const objects = [...slabs.matchAll(/^kmalloc-\S+\s+(\d+)\s+\d+\s+(\d+)/gm)].reduce(
    (sum, [, used, size]) => sum + Number(used) * Number(size),
    0,
  )
  return objects + Number(/^VmallocUsed:\s+(\d+) kB/m.exec(memory)?.[1] ?? 0) * 1024
}

const settled = async (): Promise<number> => {
  let before = await kernelBytes()
  for (let i = 0; i < mostPauses; i++) {
    await sleep(pauseMs)
    const now = await kernelBytes()
    if (Math.abs(now - before) < quietBytes) return now
    before = now
  }
  return before
}

export const kernelKeeps = async (work: () => Promise<void>): Promise<number> => {
  const before = await settled()
  await work()
  return (await settled()) - before
}
