// Where things are on the API server: paths and queries of the REST interface.

import type { Kind } from '../kinds/kind.ts'
import type { ListOptions, LogOptions, WatchOptions, WriteOptions } from './client.ts'

/** `/api/v1/namespaces/default/pods/web-1/status`; without a name, the collection. */
export function pathOf(kind: Kind, at: { namespace?: string | undefined; name?: string }, subresource?: string): string {
  const parts = kind.group ? ['', 'apis', kind.group, kind.version] : ['', 'api', kind.version]
  if (kind.namespaced && at.namespace) parts.push('namespaces', encodeURIComponent(at.namespace))
  parts.push(kind.plural)
  if (at.name !== undefined) parts.push(encodeURIComponent(at.name))
  if (subresource) parts.push(subresource)
  return parts.join('/')
}

function query(fields: Record<string, string | number | boolean | undefined>): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined && value !== false && value !== '') params.set(name, String(value))
  }
  return params.size ? `?${params.toString()}` : ''
}

export const listQuery = (options: ListOptions): string =>
  query({
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.resourceVersionMatch,
    limit: options.limit,
    continue: options.continue,
  })

export const watchQuery = (options: WatchOptions): string =>
  query({
    watch: true,
    labelSelector: options.labelSelector,
    fieldSelector: options.fieldSelector,
    resourceVersion: options.resourceVersion,
    resourceVersionMatch: options.sendInitialEvents ? 'NotOlderThan' : undefined,
    timeoutSeconds: options.timeoutSeconds,
    allowWatchBookmarks: options.allowWatchBookmarks,
    sendInitialEvents: options.sendInitialEvents,
  })

export const writeQuery = (options: WriteOptions & { force?: boolean }): string =>
  query({ fieldManager: options.fieldManager, dryRun: options.dryRun ? 'All' : undefined, force: options.force })

export const logQuery = (options: LogOptions): string =>
  query({
    container: options.container,
    follow: options.follow,
    previous: options.previous,
    sinceSeconds: options.sinceSeconds,
    sinceTime: options.sinceTime,
    timestamps: options.timestamps,
    tailLines: options.tailLines,
    limitBytes: options.limitBytes,
    stream: options.stream,
  })
