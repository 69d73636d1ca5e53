// The dynamic sets of a simulated node: what simulated packets make it note is written to the real sets too,
// as the kernel would, without a transaction that the proxy would notice; and what the proxy deletes there is
// forgotten here.

import { Elements, inTable, type Nft, type Table } from 'nft-js'
import type { RulesetNft } from '../ruleset/ruleset.ts'
import type { Memory } from '../ruleset/simulate.ts'

/** An Nft for the proxy, and one beside it whose transactions do not count. */
export const withSilent = (nft: Nft): { nft: RulesetNft; silent: Pick<Nft, 'run'> } => {
  let uncounted = 0
  return {
    nft: {
      run: (commands, { generation } = {}) => nft.run(commands, generation === undefined ? {} : { generation: generation + uncounted }),
      list: (family, table) => nft.list(family, table),
      elements: (family, table, set) => nft.elements(family, table, set),
      generation: async () => (await nft.generation()) - uncounted,
    },
    silent: {
      async run(commands) {
        await nft.run(commands)
        uncounted++
      },
    },
  }
}

type Noted = { set: string; data: Uint8Array; expires: number; isWritten: boolean }

export class TableMemory implements Memory {
  readonly #noted = new Map<string, Noted>()
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  find(set: string, key: string): Uint8Array | undefined {
    const noted = this.#noted.get(`${set} ${key}`)
    return noted && noted.expires > this.#now() ? noted.data : undefined
  }

  /** What is noted already stays, for longer. */
  note(set: string, key: string, data: Uint8Array, timeoutMs: number): void {
    const known = this.find(set, key)
    const before = this.#noted.get(`${set} ${key}`)
    this.#noted.set(`${set} ${key}`, {
      set,
      data: known ?? Buffer.from(data),
      expires: this.#now() + timeoutMs,
      isWritten: known !== undefined && before?.isWritten === true,
    })
  }

  /** What the table is to have before the proxy looks at it next. */
  async write(silent: Pick<Nft, 'run'>, table: Table): Promise<void> {
    for (const { spec, elements } of table.sets) {
      if (!spec.flags?.includes('dynamic')) continue
      const wanted = new Elements(spec)
      const gone = new Elements(spec)
      for (let row = 0; row < elements.count; row++) if (!this.#holds(spec.name, elements, row)) copy(elements, row, gone)
      for (const [name, noted] of this.#noted) {
        if (noted.set !== spec.name || noted.isWritten || noted.expires <= this.#now()) continue
        const { shape } = wanted
        const at = wanted.row()
        wanted.words.set(wordsOf(Buffer.from(name.slice(spec.name.length + 1), 'hex')), at)
        wanted.words.set(wordsOf(noted.data), at + shape.dataAt)
        wanted.options.set(wanted.count - 1, { timeoutMs: 3_600_000 })
        noted.isWritten = true
      }
      const change = inTable(table)
      if (gone.count > 0) await silent.run([change.deleteElements(gone)])
      if (wanted.count > 0) await silent.run([change.addElements(wanted)])
    }
  }

  /** What is not in the table any more was forgotten. */
  read(table: Table): void {
    const there = new Set(
      table.sets.flatMap(({ spec, elements }) =>
        Array.from({ length: spec.flags?.includes('dynamic') ? elements.count : 0 }, (_, row) => nameOf(spec.name, elements, row)),
      ),
    )
    const sets = new Set(table.sets.map(({ spec }) => spec.name))
    for (const [name, { set, isWritten }] of this.#noted) if (sets.has(set) && isWritten && !there.has(name)) this.#noted.delete(name)
  }

  #holds(set: string, elements: Elements, row: number): boolean {
    const noted = this.#noted.get(nameOf(set, elements, row))
    return noted !== undefined && noted.isWritten && noted.expires > this.#now()
  }
}

const nameOf = (set: string, { shape, words }: Elements, row: number): string => {
  const at = row * shape.rowWords
  return `${set} ${Buffer.from(words.slice(at, at + shape.keyWords).buffer).toString('hex')}`
}

const copy = (from: Elements, row: number, to: Elements): void => {
  const { rowWords } = from.shape
  const at = to.row()
  to.words.set(from.words.subarray(row * rowWords, (row + 1) * rowWords), at)
}

const wordsOf = (bytes: Uint8Array): Uint32Array => {
  const words = new Uint32Array((bytes.length + 3) >> 2)
  new Uint8Array(words.buffer).set(bytes)
  return words
}
