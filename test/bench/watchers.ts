// One writer and a hundred watchers, each with a connection of its own.

import { type Figure, figure, quantile } from './figure.ts'
import type { Session } from './session.ts'

const count = 100
const seconds = 5
/** Writes a second that make 50,000 events. */
const steady = 500

type Deps = { session(): Promise<Session>; namespace: string; create(name: string): Promise<Buffer> }

export async function* watchers({ session, namespace, create }: Deps): AsyncGenerator<Figure> {
  const path = `/api/v1/namespaces/${namespace}/configmaps`
  const sessions = await Promise.all(Array.from({ length: count }, session))
  const writer = await session()
  const object = JSON.parse((await create('written')).toString()) as {
    data: Record<string, string>
    metadata: { resourceVersion?: string }
  }
  delete object.metadata.resourceVersion
  const since = JSON.parse((await writer.request('GET', `${path}?limit=1`)).toString()).metadata.resourceVersion as string
  const delays: number[] = []
  let events = 0
  for (const each of sessions) {
    const stream = await each.open(`${path}?watch=true&resourceVersion=${since}`)
    let rest = ''
    stream.setEncoding('latin1')
    stream.on('data', (chunk: string) => {
      const now = performance.now()
      const text = rest + chunk
      let from = 0
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
        const at = text.indexOf('"sent":"', from) + 8
        if (at > 8 && at < end) delays.push(now - Number(text.slice(at, text.indexOf('"', at))))
        events += 1
        from = end + 1
      }
      rest = text.slice(from)
    })
  }
  const write = async () => {
    object.data = { ...object.data, sent: String(performance.now()) }
    await writer.request('PUT', `${path}/written`, Buffer.from(JSON.stringify(object)))
  }

  // As fast as one writer can.
  const flat = await during(seconds, async (over) => {
    while (!over()) await write()
  })
  await settled()
  yield figure('1 writer, 100 watchers: events delivered', (events / flat) * 1000, '/s')

  delays.length = 0
  events = 0
  // At a rate that makes 50,000 events a second, whatever the answers take.
  const paced = await during(seconds, async (over) => {
    const pending = new Set<Promise<void>>()
    const failures: unknown[] = []
    const begun = performance.now()
    for (let i = 0; !over(); i += 1) {
      const wait = begun + (i * 1000) / steady - performance.now()
      if (wait > 0) await new Promise((done) => setTimeout(done, wait))
      const writing: Promise<void> = write()
        .catch((error: unknown) => void failures.push(error))
        .finally(() => pending.delete(writing))
      pending.add(writing)
    }
    await Promise.all(pending)
    if (failures.length > 0) throw failures[0]
  })
  await settled()
  yield figure('1 writer at 500/s, 100 watchers: events delivered', (events / paced) * 1000, '/s')
  yield figure('1 writer at 500/s, 100 watchers: behind the write, p50', quantile(delays, 0.5), 'ms')
  yield figure('1 writer at 500/s, 100 watchers: behind the write, p99', quantile(delays, 0.99), 'ms')
  for (const each of [...sessions, writer]) each.close()

  async function settled(): Promise<void> {
    for (let before = -1; before !== events; ) {
      before = events
      await new Promise((done) => setTimeout(done, 300))
    }
  }
}

async function during(seconds: number, work: (over: () => boolean) => Promise<void>): Promise<number> {
  const from = performance.now()
  await work(() => performance.now() - from > seconds * 1000)
  return performance.now() - from
}
