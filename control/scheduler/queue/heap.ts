// A binary heap: the first of many, where many come and go.

export class Heap<T> {
  readonly #items: T[] = []
  readonly #before: (a: T, b: T) => boolean

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before
  }

  get first(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    let at = this.#items.length
    this.#items.push(item)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!this.#before(item, this.#items[above] as T)) break
      this.#items[at] = this.#items[above] as T
      at = above
    }
    this.#items[at] = item
  }

  pop(): T | undefined {
    const [first] = this.#items
    const last = this.#items.pop() as T
    if (this.#items.length > 0) this.#sink(last)
    return first
  }

  clear(): void {
    this.#items.length = 0
  }

  #sink(item: T): void {
    const { length } = this.#items
    let at = 0
    for (let below = 1; below < length; below = 2 * at + 1) {
      if (below + 1 < length && this.#before(this.#items[below + 1] as T, this.#items[below] as T)) below += 1
      if (!this.#before(this.#items[below] as T, item)) break
      this.#items[at] = this.#items[below] as T
      at = below
    }
    this.#items[at] = item
  }
}
