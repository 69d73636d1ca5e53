// Work on one key, one after the other, in the order it was asked for.

export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  /** Does `work` once everything that was asked for `key` before is over, however it ended. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(work)
    const over = turn.then(nothing, nothing)
    this.#last.set(key, over)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === over) this.#last.delete(key)
    }
  }
}

const nothing = () => {}
