// What a walk through an object leaves for later, so that no step of it takes long.

/** Values of one step. */
const mostAtOnce = 4_000

type Postponed = {
  path: string[]
  /** The path as Kubernetes spells it, for who has it. */
  at: string
  step: () => void
}

export class Later {
  #left = mostAtOnce
  readonly #steps: Postponed[] = []

  /** Of each value that is looked at. */
  count(): void {
    this.#left -= 1
  }

  /** The step is long enough: what else there is, is to be postponed. */
  get isDue(): boolean {
    return this.#left <= 0
  }

  push(postponed: Postponed): void {
    this.#steps.push(postponed)
  }

  /** Begins another step with what was postponed last. */
  next(): Postponed | undefined {
    this.#left = mostAtOnce
    return this.#steps.pop()
  }
}
