// A container's log for people: the text of its entries, partial lines joined, as `kubectl logs` asks for it.

import { EntryReader, type LogEntry } from './entry.ts'
import { readGrowing } from './growing.ts'
import { tailOffset } from './tail.ts'

export type LogOptions = {
  follow?: boolean
  /** Last lines to begin with; absent: all. */
  tailLines?: number
  /** Nothing older. */
  since?: Date
  /** Begins every line with its time. */
  timestamps?: boolean
  limitBytes?: number
  stream?: 'stdout' | 'stderr'
  /** With `follow`: resolves once the container has ended. */
  exited?: Promise<unknown>
  signal?: AbortSignal
}

/** Throws ENOENT where there is no log. */
export async function* readLogs(path: string, options: LogOptions = {}): AsyncGenerator<Buffer> {
  const { follow = false, tailLines, since, timestamps = false, stream, exited, signal } = options
  const entries = new EntryReader()
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY
  let lineBegins = true
  const chunks = readGrowing(path, {
    from: async (file, size) => (tailLines === undefined ? 0 : tailOffset(file, size, tailLines)),
    follow,
    ended: exited,
    signal,
    onRotate: () => entries.reset(),
  })
  for await (const chunk of chunks) {
    const pieces: Buffer[] = []
    for (const entry of entries.read(chunk)) {
      if ((stream && entry.stream !== stream) || (since && Date.parse(entry.time) < since.getTime())) continue
      if (timestamps && lineBegins) pieces.push(Buffer.from(`${entry.time.replace(/[+-]00:00$/, 'Z')} `))
      pieces.push(textOf(entry))
      lineBegins = !entry.partial
    }
    if (pieces.length === 0) continue
    const text = Buffer.concat(pieces)
    yield text.length > left ? text.subarray(0, left) : text
    left -= text.length
    if (left <= 0) return
  }
}

const newline = Buffer.from('\n')
export const textOf = (entry: LogEntry): Buffer => (entry.partial ? entry.text : Buffer.concat([entry.text, newline]))
