// Where the last lines of a log begin, found from its end.

import type { FileHandle } from 'node:fs/promises'
import { parseEntry } from './entry.ts'

const block = 64 << 10
const newline = 0x0a

/** The offset of the last `count` lines of the first `size` bytes, as people count lines: pieces of one count once. */
export async function tailOffset(file: FileHandle, size: number, count: number): Promise<number> {
  if (count <= 0) return size
  let [found, end, isLast] = [0, size, true]
  // A full entry ends the line before; the last one of all is a line by itself, finished or not.
  const counts = (line: Buffer): boolean => {
    const entry = parseEntry(line)
    if (!entry) return false
    const ends = !entry.partial || isLast
    isLast = false
    return ends
  }
  // Bytes from `end` on that belong to a line which begins before it.
  let rest = Buffer.alloc(0)
  while (end > 0) {
    const start = Math.max(end - block, 0)
    const chunk = Buffer.alloc(end - start)
    await file.read(chunk, 0, chunk.length, start)
    const data = Buffer.concat([chunk, rest])
    let stop = data.length
    if (data[stop - 1] === newline) stop--
    for (let at = data.lastIndexOf(newline, stop - 1); stop > 0 && at >= 0; at = at > 0 ? data.lastIndexOf(newline, at - 1) : -1) {
      if (counts(data.subarray(at + 1, stop)) && ++found > count) return start + stop + 1
      stop = at
    }
    if (start === 0 && counts(data.subarray(0, stop)) && ++found > count) return stop + 1
    rest = Buffer.from(data.subarray(0, stop + 1))
    end = start
  }
  return 0
}
