// nf_tables in memory, for tests of what programs it: same answers, same errors, no packets. Strict
// where the kernel is: names must exist, what is in use cannot go, a transaction is all or nothing.

import { on } from 'node:events'
import { type Command } from './command.ts'
import { apply, copy, type FakeTable, snapshot } from './fake-table.ts'
import type { Family } from './family.ts'
import { dump, type Nft, NftError } from './nft.ts'
import type { ObjectSpec } from './object.ts'
import type { Table } from './table.ts'
import type { NftChange, NftNotification } from './watch.ts'

export type FakeNft = Nft & {
  /** Transactions that were run and took effect, for tests that want to see what was changed. */
  readonly transactions: readonly (readonly Command[])[]
}

export const fakeNft = (): FakeNft => {
  let tables: ReadonlyMap<string, FakeTable> = new Map()
  let generation = 1
  let handle = 1
  const transactions: (readonly Command[])[] = []
  const told = new EventTarget()
  const closed = new AbortController()
  const find = (family: Family, name: string) => tables.get(`${family} ${name}`)
  const list = async (family: Family, name: string): Promise<Table | undefined> => {
    const table = find(family, name)
    return table && snapshot(table)
  }
  const nft: FakeNft = {
    transactions,
    async run(commands, options = {}) {
      if (options.generation !== undefined && options.generation !== generation) throw new NftError('ERESTART')
      const next = new Map([...tables].map(([key, table]) => [key, copy(table)]))
      const changes: NftChange[] = []
      for (const command of commands) handle = apply(next, command, handle, changes)
      tables = next
      generation++
      transactions.push(commands)
      const notification: NftNotification = { kind: 'transaction', generation, by: 'fake', changes }
      told.dispatchEvent(new CustomEvent('transaction', { detail: notification }))
    },
    list,
    elements: async (family, name, { name: set }) => (await list(family, name))?.sets.find(({ spec }) => spec.name === set)?.elements,
    tables: async () => [...tables.values()].map(({ family, name }) => ({ family, name })),
    dump: (family, name) => dump(nft, family, name),
    async reset(family, name) {
      const table = find(family, name)
      const before = [...(table?.objects.values() ?? [])]
      for (const object of before) table?.objects.set(`${object.kind} ${object.name}`, fromZero(object))
      return before
    },
    async watch(signal) {
      signal?.throwIfAborted()
      const end = signal ? AbortSignal.any([signal, closed.signal]) : closed.signal
      return untilAborted(on(told as unknown as NodeJS.EventEmitter, 'transaction', { signal: end }), end)
    },
    generation: async () => generation,
    close: () => closed.abort(),
  }
  return nft
}

async function* untilAborted(events: AsyncIterable<unknown>, end: AbortSignal): AsyncGenerator<NftNotification, void> {
  try {
    for await (const [event] of events as AsyncIterable<[CustomEvent<NftNotification>]>) yield event.detail
  } catch (error) {
    if (!end.aborted) throw error
  }
}

const fromZero = (object: ObjectSpec): ObjectSpec => {
  if (object.kind === 'counter') return { ...object, packets: 0n, bytes: 0n }
  return object.kind === 'quota' ? { ...object, used: 0n } : object
}
