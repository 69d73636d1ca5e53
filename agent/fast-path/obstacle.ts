// Who else has a say about forwarded packets. Connections on the fast path pass no chain, so it is taken only
// where there is none to pass: a host's own firewall goes on seeing every packet.

import { readFile } from 'node:fs/promises'
import type { Nft, Table } from 'nft-js'
import type { Family } from './layout.ts'

/** Of any kind that forwards this family's packets; an empty chain that accepts says nothing. */
export const filtersForwarded = ({ family, chains }: Table, forwarded: Family): boolean =>
  (family === forwarded || family === 'inet') &&
  chains.some(({ base, rules }) => base?.hook === 'forward' && (rules.length > 0 || base.policy === 'drop'))

/** The table of a stranger that filters, as people name it; undefined: there is none. */
export async function obstacleTo(family: Family, nft: Pick<Nft, 'tables' | 'list'>): Promise<string | undefined> {
  for (const ref of await nft.tables()) {
    if (ref.name.startsWith('coracle') || (ref.family !== family && ref.family !== 'inet')) continue
    // What cannot be read may filter.
    const table = await nft.list(ref.family, ref.name).catch(() => 'unknown' as const)
    if (table === 'unknown' || (table && filtersForwarded(table, family))) return `table ${ref.family} ${ref.name}`
  }
  // iptables' own kind of tables, of this process's namespace; absent where the kernel has none.
  const names = await readFile(`/proc/net/${family}_tables_names`, 'utf8').catch(() => '')
  return names.includes('filter') ? 'iptables' : undefined
}
