// Paths that are no resources: health and metrics.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { replied } from '#api/http/env.ts'
import { Reply } from '#api/http/reply.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Resources } from '../objects/resource.ts'
import { newPages, type Pages } from './env.ts'

/** `heals`: by itself, so that it is no reason to restart the server. */
export type Check = { name: string; healthy(): boolean; heals?: true }

/** `/healthz`, `/livez` and `/readyz`, whole, verbose, and one check at a time below them. */
export function healthPages(checks: readonly Check[]): Pages {
  const pages = newPages()
  for (const root of ['/healthz', '/livez', '/readyz']) {
    pages.get(`${root}/*`, (c) => replied(c, healthOf(root, checks, c.get('incoming').url)))
  }
  return pages
}

function healthOf(root: string, checks: readonly Check[], url: URL): Reply {
  const one = url.pathname.slice(root.length + 1).replace(/\/$/, '')
  const excluded = url.searchParams.getAll('exclude')
  const asked = checks.filter((c) => (one ? c.name === one : root !== '/livez' || !c.heals))
  if (one && asked.length === 0) return text('404 page not found\n', 404)
  const isExcluded = ({ name }: Check) => !one && excluded.includes(name)
  const results = asked.map((check) => ({
    name: isExcluded(check) ? `${check.name} excluded:` : check.name,
    ok: isExcluded(check) || check.healthy(),
  }))
  const healthy = results.every((r) => r.ok)
  if (healthy && !url.searchParams.has('verbose')) return text('ok')
  const lines = results.map((r) => (r.ok ? `[+]${r.name} ok` : `[-]${r.name} failed: reason withheld`))
  const name = root.slice(1)
  return text(`${[...lines, `${name} check ${healthy ? 'passed' : 'failed'}`].join('\n')}\n`, healthy ? 200 : 500)
}

const text = (body: string, status = 200) =>
  new Reply(body, { status, headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' } })

export type Metrics = {
  observe(seen: { verb: string; resource: string; code: number; seconds: number }): void
  /** A turn of the event loop that took too long. */
  held(seconds: number): void
  pages: Pages
}

/** One registry a server: nothing is global. */
export function serverMetrics({ cache, resources }: { cache: WatchCache; resources: Resources }): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const labelNames = ['verb', 'resource', 'code'] as const
  const requests = new Counter({
    name: 'apiserver_request_total',
    help: 'Requests by verb, resource and HTTP code.',
    labelNames,
    registers: [registry],
  })
  const durations = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time to the head of the answer.',
    labelNames: ['verb', 'resource'],
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 60],
    registers: [registry],
  })
  const objects = new Gauge({
    name: 'apiserver_storage_objects',
    help: 'Stored objects by resource.',
    labelNames: ['resource'],
    registers: [registry],
  })
  const watchers = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Watches open, by resource.',
    labelNames: ['resource'],
    registers: [registry],
  })
  const held = new Histogram({
    name: 'coracle_event_loop_held_seconds',
    help: 'Turns of the event loop longer than 200 ms.',
    buckets: [0.2, 0.3, 0.5, 1, 2, 5, 10, 30],
    registers: [registry],
  })
  const longest = new Gauge({
    name: 'coracle_event_loop_held_max_seconds',
    help: 'The longest turn of the event loop since the start.',
    registers: [registry],
  })
  let most = 0
  let known = { revision: resources.revision, plurals: pluralsOf(resources) }
  return {
    observe({ verb, resource, code, seconds }) {
      // What clients make up must not become a series of its own.
      if (known.revision !== resources.revision) known = { revision: resources.revision, plurals: pluralsOf(resources) }
      const label = known.plurals.has(resource.split('/')[0] ?? '') ? resource.slice(0, 64) : ''
      requests.inc({ verb, resource: label, code: String(code) })
      if (verb !== 'watch') durations.observe({ verb, resource: label }, seconds)
    },
    held(seconds) {
      held.observe(seconds)
      most = Math.max(most, seconds)
      longest.set(most)
    },
    pages: newPages().get('/metrics', async (c) => {
      for (const resource of resources.kept()) {
        objects.set({ resource: resource.name }, cache.of(resource).size)
        watchers.set({ resource: resource.name }, cache.of(resource).watchers)
      }
      return replied(c, new Reply(await registry.metrics(), { headers: { 'content-type': registry.contentType } }))
    }),
  }
}

const pluralsOf = (resources: Resources): ReadonlySet<string> => new Set(resources.all().map(({ kind }) => kind.plural))
