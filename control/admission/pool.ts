// Numbers that belong to one owner at a time.

export class NumberPool {
  readonly #first: number
  readonly #last: number
  readonly #preferFrom: number
  readonly #random: () => number
  readonly #claims = new Map<number, string>()

  /** Both ends included. What nobody asked for by number comes from `preferFrom` on, while there is some. */
  constructor({ first, last, preferFrom, random }: { first: number; last: number; preferFrom: number; random: () => number }) {
    this.#first = first
    this.#last = last
    this.#preferFrom = Math.min(preferFrom, last)
    this.#random = random
  }

  /** A free number, now the owner's; undefined when there is none. */
  next(owner: string): number | undefined {
    return this.#between(this.#preferFrom, this.#last, owner) ?? this.#between(this.#first, this.#preferFrom - 1, owner)
  }

  /** `held` where it was the owner's before; undefined where it is another's or out of range. */
  take(number: number, owner: string): 'new' | 'held' | undefined {
    const claim = this.#claims.get(number)
    if (claim !== undefined) return claim === owner ? 'held' : undefined
    if (number < this.#first || number > this.#last) return undefined
    this.#claims.set(number, owner)
    return 'new'
  }

  /** An object of the owner has it, whatever was thought before. */
  settle(number: number, owner: string): void {
    this.#claims.set(number, owner)
  }

  release(number: number, owner: string): void {
    if (this.#claims.get(number) === owner) this.#claims.delete(number)
  }

  #between(first: number, last: number, owner: string): number | undefined {
    const size = last - first + 1
    if (size <= 0) return undefined
    const start = Math.floor(this.#random() * size)
    for (let i = 0; i < size; i += 1) {
      const number = first + ((start + i) % size)
      if (this.#claims.has(number)) continue
      this.#claims.set(number, owner)
      return number
    }
    return undefined
  }
}
