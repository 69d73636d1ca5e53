// The outer edge of a request: it gets its id, is counted, and what was remarked about it is written down.

import { randomUUID } from 'node:crypto'
import { replyTo } from '#api/http/env.ts'
import type { Log } from '#api/log.ts'
import type { ServerStage } from '../env.ts'

type Seen = { verb: string; resource: string; code: number; seconds: number }
type Deps = {
  log: Log
  /** A request came; `what` says which. */
  began: (what: () => string) => void
  observe: (seen: Seen) => void
  now: () => number
}

export const audit =
  ({ log, began, observe, now }: Deps): ServerStage =>
  async (c, next) => {
    const started = now()
    const { method, url, headers } = c.get('incoming')
    began(() => `${method} ${url.pathname.slice(0, 200)} (${(headers.get('user-agent') ?? '').slice(0, 100)})`)
    const remarks = { warnings: [], annotations: new Map<string, string>() }
    c.set('remarks', remarks)
    await next()
    const id = randomUUID()
    const reply = replyTo(c)
    reply.headers.set('audit-id', id)
    const info = c.get('info')
    const resource = info?.subresource ? `${info.plural}/${info.subresource}` : (info?.plural ?? '')
    const seen = { verb: info?.verb ?? method.toLowerCase(), resource }
    if (remarks.annotations.size > 0) log.info({ audit: id, ...seen, annotations: Object.fromEntries(remarks.annotations) }, 'audit')
    observe({ ...seen, code: reply.status, seconds: (now() - started) / 1000 })
  }
