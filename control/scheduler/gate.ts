// What waits for the server: only so much at a time. The store groups it into few commits.

const most = 64

export class Gate {
  #passing = 0

  get isFull(): boolean {
    return this.#passing >= most
  }

  /** Counts from the call on; whoever minds how many there are looks at `isFull` first. */
  async pass<T>(write: () => Promise<T>): Promise<T> {
    this.#passing += 1
    try {
      return await write()
    } finally {
      this.#passing -= 1
    }
  }
}
