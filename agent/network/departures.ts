// Waits until links are gone. A pod's namespace that nobody holds any more is dismantled by the
// kernel in the background, many at a time; deleting the link by hand would take its lock for as long.

import { deleteLink, type Rtnetlink } from 'nft-js'

/** Milliseconds after which a namespace is taken to be held by somebody, and its link deleted. */
const patience = 500

export class Departures {
  readonly #rt: Rtnetlink
  readonly #waiting = new Map<string, (gone: boolean) => void>()

  constructor(rt: Rtnetlink) {
    this.#rt = rt
  }

  /** To be told of every link that the kernel says is gone. */
  gone(name: string): void {
    this.#waiting.get(name)?.(true)
  }

  /** To be told when the kernel dropped notifications. */
  missed(): void {
    for (const resolve of this.#waiting.values()) resolve(false)
  }

  async wait(name: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting.set(name, resolve)
    const timer = setTimeout(resolve, patience, false)
    try {
      // Asked after the waiting began: a link that goes in between is not missed.
      if (!(await this.#rt.link(name)) || (await promise)) return
      await this.#rt.run([deleteLink(name)], { tolerate: ['ENODEV'] })
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(name)
    }
  }
}
