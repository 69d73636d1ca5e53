// ResourceQuota: no more of anything in a namespace than its quotas allow. The sums are kept in memory,
// from the objects themselves: nothing is stored for them, a restart finds them again, and a check costs
// no write.

import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { Pod, ResourceQuota } from '#api/types/core-v1.gen.ts'
import { type Admission, forbidden, isKind, type Review } from '../admission.ts'
import { Book } from './book.ts'
import { isInScope, measure, unsaid } from './measure.ts'

export type Held = { kind: Kind; object: KubeObject }

export type QuotaDeps = {
  /** Of a namespace, as they are now. */
  quotas(this: void, namespace: string): Iterable<ResourceQuota>
  /** Everything in a namespace, as it is now. */
  objects(this: void, namespace: string): Iterable<Held>
  /** Told of quotas whose sums have changed. */
  changed(this: void, namespace: string, names: readonly string[]): void
}

export class Quotas {
  readonly #deps: QuotaDeps
  readonly #books = new Map<string, Book>()
  readonly admission: Admission

  constructor(deps: QuotaDeps) {
    this.#deps = deps
    this.admission = { name: 'ResourceQuota', validate: (review) => this.#validate(review) }
  }

  /** For `status.used`; undefined where there is no such quota. */
  used(namespace: string, name: string): Record<string, string> | undefined {
    return this.#bookOf(namespace)?.used(name)
  }

  /** Told of every change of every object, in order, before the next request is admitted. */
  observe(kind: Kind, object: KubeObject, gone: boolean): void {
    const { namespace, name } = object.metadata
    if (namespace === undefined) return
    const isQuota = kind.kind === 'ResourceQuota' && kind.group === ''
    const book = this.#books.get(namespace)
    // The first of a namespace opens its book when somebody asks.
    if (!book) {
      if (isQuota && !gone) this.#deps.changed(namespace, [name])
      return
    }
    if (isQuota) book.limit(name, gone ? undefined : (object as ResourceQuota))
    const changed = book.enter(keyOf(kind, name), gone ? undefined : measure(kind, object))
    if (book.quotas.length === 0) this.#books.delete(namespace)
    else if (changed || isQuota) this.#tell(namespace, book)
  }

  /** The kinds are others now, or what was told is not all: the sums are made anew. What is promised stays so. */
  forget(): void {
    for (const [namespace, book] of this.#books) {
      const made = this.#read(namespace)
      for (const [key, measured] of book.promises()) made.promise(key, measured)
      this.#books.set(namespace, made)
      this.#tell(namespace, made)
    }
  }

  #validate(review: Review): void {
    const { namespace, operation, subresource, object, dryRun } = review
    if (namespace === undefined || (operation !== 'CREATE' && operation !== 'UPDATE')) return
    const isPod = isKind(review, '', 'Pod')
    if (subresource !== '' && !(isPod && subresource === 'resize')) return
    // What a pod takes changes by a resize only: one that was there before the quota can still be labelled.
    if (isPod && operation === 'UPDATE' && subresource === '') return
    const book = this.#bookOf(namespace)
    if (!book) return
    const { kind } = review.spec
    const key = keyOf(kind, object.metadata.name)
    const next = measure(kind, object)
    if (isPod) {
      for (const quota of book.quotas) {
        const why = isInScope(quota, next) ? unsaid(object as Pod, quota.spec.hard ?? {}) : undefined
        if (why) throw forbidden(review, `failed quota: ${quota.metadata.name}: ${why}`)
      }
    }
    const excess = book.excess(key, next)
    if (excess) {
      const { quota, requested, used, limited } = excess
      throw forbidden(review, `exceeded quota: ${quota}, requested: ${requested}, used: ${used}, limited: ${limited}`)
    }
    if (dryRun) return
    const before = book.promise(key, next)
    review.onFailure(() => {
      const now = this.#books.get(namespace)
      now?.takeBack(key, next, before)
      if (now) this.#tell(namespace, now)
    })
    this.#tell(namespace, book)
  }

  #tell(namespace: string, book: Book): void {
    this.#deps.changed(
      namespace,
      book.quotas.map(({ metadata }) => metadata.name),
    )
  }

  #bookOf(namespace: string): Book | undefined {
    const known = this.#books.get(namespace)
    if (known) return known
    if ([...this.#deps.quotas(namespace)].length === 0) return undefined
    const made = this.#read(namespace)
    this.#books.set(namespace, made)
    return made
  }

  #read(namespace: string): Book {
    const made = new Book()
    for (const quota of this.#deps.quotas(namespace)) made.limit(quota.metadata.name, quota)
    for (const { kind, object } of this.#deps.objects(namespace)) made.enter(keyOf(kind, object.metadata.name), measure(kind, object))
    return made
  }
}

const keyOf = ({ group, plural }: Kind, name: string) => `${group}/${plural}/${name}`
