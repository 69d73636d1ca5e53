// Lines of a container log: `<RFC 3339 time> stdout|stderr P|F <text>`, where P says that the line goes
// on in the next entry of that stream (CRI logging format, kubernetes/design-proposals kubelet-cri-logging).

export type LogEntry = { time: string; stream: 'stdout' | 'stderr'; partial: boolean; text: Buffer }

const space = 0x20
const newline = 0x0a
/** Longer than any monitor writes; a file with such a line is not a container log. */
const longestEntry = 1 << 20

/** One entry without its newline; undefined if it is malformed. */
export function parseEntry(line: Buffer): LogEntry | undefined {
  const first = line.indexOf(space)
  const second = line.indexOf(space, first + 1)
  if (first < 0 || second < 0) return undefined
  const stream = line.toString('latin1', first + 1, second)
  // Tags may follow each other with colons; only the first has a meaning so far.
  const third = line.indexOf(space, second + 1)
  const tag = line[second + 1]
  if ((stream !== 'stdout' && stream !== 'stderr') || (tag !== 0x50 && tag !== 0x46)) return undefined
  const text = third < 0 ? Buffer.alloc(0) : line.subarray(third + 1)
  return { time: line.toString('latin1', 0, first), stream, partial: tag === 0x50, text }
}

/** Cuts chunks of a file into entries; keeps what is unfinished for the next chunk, malformed lines are dropped. */
export class EntryReader {
  #rest = Buffer.alloc(0)

  read(chunk: Buffer): LogEntry[] {
    const data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    const entries: LogEntry[] = []
    let start = 0
    for (let end = data.indexOf(newline); end >= 0; end = data.indexOf(newline, start)) {
      const entry = parseEntry(data.subarray(start, end))
      if (entry) entries.push(entry)
      start = end + 1
    }
    this.#rest = data.length - start > longestEntry ? Buffer.alloc(0) : Buffer.from(data.subarray(start))
    return entries
  }

  /** After a rotation: what was unfinished stays so. */
  reset(): void {
    this.#rest = Buffer.alloc(0)
  }
}
