/** Cuts a byte stream at newlines; a chunk yields all the lines it completes at once, in order. Empty lines and an unfinished last one are dropped. */
export async function* lines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string[]> {
  let rest: Buffer[] = []
  for await (const chunk of chunks) {
    const end = chunk.lastIndexOf(10)
    if (end < 0) {
      rest.push(chunk)
      continue
    }
    const head = chunk.subarray(0, end)
    const text = rest.length ? Buffer.concat([...rest, head]).toString() : head.toString()
    rest = end + 1 < chunk.length ? [chunk.subarray(end + 1)] : []
    yield text.split('\n').filter((line) => line !== '')
  }
}
