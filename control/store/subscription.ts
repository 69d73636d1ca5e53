// One reader of a watch: what was published and not yet taken, up to a bound.

import { Compacted, type StoreEvent } from './store.ts'

/** Events that a reader may be behind before it is cut off; it can resume from its revision. */
const bound = 20_000

export class Subscription {
  readonly #prefix: string
  #waiting: StoreEvent[] = []
  #wake: (() => void) | undefined
  #failure: Error | undefined
  #ended = false

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  publish(events: readonly StoreEvent[]): void {
    if (this.#ended || this.#failure) return
    for (const event of events) if (keyOf(event).startsWith(this.#prefix)) this.#waiting.push(event)
    if (this.#waiting.length > bound) {
      const oldest = this.#waiting[0] as StoreEvent
      this.#waiting = []
      this.#failure = new Compacted(revisionOf(oldest) - 1, revisionOf(oldest))
    }
    this.#wake?.()
  }

  end(failure?: Error): void {
    this.#ended = true
    this.#failure ??= failure
    this.#wake?.()
  }

  async *events(): AsyncGenerator<StoreEvent[]> {
    for (;;) {
      if (this.#waiting.length > 0) {
        const taken = this.#waiting
        this.#waiting = []
        yield taken
      } else if (this.#failure) throw this.#failure
      else if (this.#ended) return
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }
}

export const revisionOf = (event: StoreEvent): number => (event.type === 'put' ? event.entry.modRevision : event.revision)
const keyOf = (event: StoreEvent): string => (event.type === 'put' ? event.entry.key : event.key)
