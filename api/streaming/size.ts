import type { Readable } from 'node:stream'

export type Size = { width: number; height: number }

/** Terminal sizes as clients send them: flat JSON objects, `{"Width":80,"Height":24}`, with or without newlines between. */
export async function* readSizes(stream: Readable): AsyncGenerator<Size> {
  let rest = ''
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    rest = (rest + chunk.toString('latin1')).slice(-4096)
    for (let end = rest.indexOf('}'); end >= 0; end = rest.indexOf('}')) {
      const size = parse(rest.slice(0, end + 1))
      rest = rest.slice(end + 1)
      if (size) yield size
    }
  }
}

function parse(text: string): Size | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width: unknown; Height: unknown }
    const fits = (n: unknown): n is number => Number.isInteger(n) && (n as number) > 0 && (n as number) <= 0xffff
    return fits(Width) && fits(Height) ? { width: Width, height: Height } : undefined
  } catch {
    return undefined
  }
}
