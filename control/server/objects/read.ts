// Getting and listing, from the watch cache; pages of an older revision from the store.

import { StatusError } from '#api/errors.ts'
import { Compacted, type Store } from '../../store/store.ts'
import { Item } from '../cache/item.ts'
import { type Selection, selectionOf } from '../cache/selection.ts'
import type { WatchCache } from '../cache/watch-cache.ts'
import type { Target } from './call.ts'
import { keyFor, notFound, type Resource } from './resource.ts'

/** Of an older revision, by a selector. */
const lookedThroughAtOnce = 500

export type ListQuery = {
  resource: Resource
  namespace?: string | undefined
  labelSelector?: string | undefined
  fieldSelector?: string | undefined
  resourceVersion?: string | undefined
  resourceVersionMatch?: string | undefined
  limit?: number | undefined
  continue?: string | undefined
}
export type Listed = { items: Item[]; revision: number; continue?: string; remaining?: number }

export class Reader {
  readonly #store: Store
  readonly #cache: WatchCache

  constructor({ store, cache }: { store: Store; cache: WatchCache }) {
    this.#store = store
    this.#cache = cache
  }

  /** As of now, or at least as new as `resourceVersion`. */
  async get(target: Target, resourceVersion?: string): Promise<Item> {
    await this.#reach(resourceVersion)
    const item = this.#cache.of(target.resource).get(keyFor(target.resource, target.namespace, target.name))
    if (!item) throw notFound(target.resource, target.name)
    return item
  }

  async list(query: ListQuery): Promise<Listed> {
    const { resource } = query
    const selection = selectionOf(resource.spec, query.labelSelector, query.fieldSelector)
    checkMatch(query)
    const prefix = prefixOf(query)
    if (query.continue) return await this.#continue(query, prefix, selection)
    if (isExact(query)) {
      const revision = parseRevision(query.resourceVersion)
      if (revision !== this.#cache.revision) return await this.#fromStore(query, prefix, selection, { revision })
    } else await this.#reach(query.resourceVersion)
    const collection = this.#cache.of(resource)
    const revision = this.#cache.revision
    if (selection.name !== undefined && query.namespace) {
      const item = collection.get(keyFor(resource, query.namespace, selection.name))
      return { items: item && selection.matches(item) ? [item] : [], revision }
    }
    return page(query, collection.under(prefix), selection, revision)
  }

  async #reach(resourceVersion: string | undefined): Promise<void> {
    if (resourceVersion === undefined || resourceVersion === '') await this.#cache.current()
    else await this.#cache.reach(parseRevision(resourceVersion))
  }

  async #continue(query: ListQuery, prefix: string, selection: Selection): Promise<Listed> {
    if (query.resourceVersion && query.resourceVersion !== '0') {
      throw new StatusError('BadRequest', 'specifying resource version is not allowed when using continue')
    }
    const { revision, after } = readToken(query.continue ?? '', prefix)
    if (revision === this.#cache.revision) return page(query, this.#cache.of(query.resource).under(prefix, after), selection, revision)
    return await this.#fromStore(query, prefix, selection, { revision, after })
  }

  /** Reads no more than the page takes; with a selector as much as it has to look through. */
  async #pageFromStore(query: ListQuery, prefix: string, selection: Selection, at: { revision: number; after?: string }): Promise<Listed> {
    const { limit } = query
    const found: Item[] = []
    let from = at
    for (;;) {
      const most = limit && (selection.all ? limit : Math.max(limit, lookedThroughAtOnce))
      const { entries, remaining } = await this.#store.list(prefix, { ...from, ...(most && { limit: most }) })
      for (const entry of entries) {
        const item = new Item(entry)
        if (selection.all || selection.matches(item)) found.push(item)
      }
      const last = entries.at(-1)
      const isFull = limit !== undefined && limit > 0 && (selection.all || found.length > limit)
      if (!last || remaining === 0 || isFull) return page(query, found.values(), selection, at.revision, remaining)
      from = { revision: at.revision, after: last.key }
    }
  }

  async #fromStore(query: ListQuery, prefix: string, selection: Selection, at: { revision: number; after?: string }): Promise<Listed> {
    if (at.revision > this.#cache.revision) await this.#cache.reach(at.revision)
    try {
      return await this.#pageFromStore(query, prefix, selection, at)
    } catch (error) {
      if (!(error instanceof Compacted)) throw error
      if (query.continue) throw tooOldToContinue(query.continue, this.#cache.revision)
      throw new StatusError('Expired', `The resourceVersion for the provided list is too old.`)
    }
  }
}

export const prefixOf = ({ resource, namespace }: Pick<ListQuery, 'resource' | 'namespace'>): string =>
  namespace ? `${resource.prefix}${namespace}/` : resource.prefix

/** `unread`: how many there are behind `items`. */
function page(query: ListQuery, items: Iterator<Item>, selection: Selection, revision: number, unread = 0): Listed {
  const limit = query.limit || Number.POSITIVE_INFINITY
  const found: Item[] = []
  for (let next = items.next(); !next.done; next = items.next()) {
    if (!selection.all && !selection.matches(next.value)) continue
    if (found.length < limit) {
      found.push(next.value)
      continue
    }
    // Only without a selector is the rest known without looking at it.
    let remaining = 1 + unread
    if (selection.all) while (!items.next().done) remaining += 1
    const last = found.at(-1) as Item
    return { items: found, revision, continue: writeToken(revision, last.key, query), ...(selection.all && { remaining }) }
  }
  const last = found.at(-1)
  if (unread === 0 || !last) return { items: found, revision }
  return { items: found, revision, continue: writeToken(revision, last.key, query), ...(selection.all && { remaining: unread }) }
}

/** Since before there was a match to say so, a version with a limit is exactly that version. */
const isExact = ({ resourceVersion, resourceVersionMatch, limit }: ListQuery): boolean =>
  resourceVersionMatch ? resourceVersionMatch === 'Exact' : Boolean(limit && resourceVersion && resourceVersion !== '0')

function checkMatch({ resourceVersion, resourceVersionMatch, continue: token }: ListQuery): void {
  if (!resourceVersionMatch) return
  const refuse = (why: string) => new StatusError('Invalid', `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: ${why}`)
  if (!['Exact', 'NotOlderThan'].includes(resourceVersionMatch)) {
    throw refuse(`Unsupported value: ${JSON.stringify(resourceVersionMatch)}: supported values: "Exact", "NotOlderThan"`)
  }
  if (!resourceVersion) throw refuse('Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided')
  if (token) throw refuse('Forbidden: resourceVersionMatch is forbidden when continue is provided')
  if (resourceVersionMatch === 'Exact' && resourceVersion === '0') {
    throw refuse('Forbidden: resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
  }
}

export function parseRevision(text: string | undefined): number {
  const revision = Number(text)
  if (!/^\d{1,15}$/.test(text ?? '') || !Number.isSafeInteger(revision)) {
    throw new StatusError(
      'BadRequest',
      `Invalid value: ${JSON.stringify(text ?? '')}: resource version must be a whole number that a server gave`,
    )
  }
  return revision
}

const writeToken = (revision: number, key: string, query: ListQuery): string =>
  Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: key.slice(prefixOf(query).length) })).toString('base64url')

function readToken(token: string, prefix: string): { revision: number; after: string } {
  try {
    const { v, rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>
    if (v === 'meta.k8s.io/v1' && Number.isSafeInteger(rv) && (rv as number) > 0 && typeof start === 'string' && !start.includes('..')) {
      return { revision: rv as number, after: prefix + start }
    }
  } catch {
    // Said below.
  }
  throw new StatusError('BadRequest', 'continue key is not valid')
}

function tooOldToContinue(token: string, revision: number): StatusError {
  const { start } = JSON.parse(Buffer.from(token, 'base64url').toString()) as { start: string }
  const fresh = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start })).toString('base64url')
  const error = new StatusError(
    'Expired',
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
  )
  return Object.assign(error, { continue: fresh })
}
