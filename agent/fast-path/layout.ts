// How the fast path lies in nf_tables: a table of its own for each family, with a flowtable and the rules that
// bring pods' connections into it once both ends have spoken. Their later packets go from link to link and
// pass no chain of anybody.

import { type FlowtableSpec, inTable, type NftCommand, type Table, type TableRef } from 'nft-js'
import { commented, flowAdd, match, rule } from 'nft-js/nftables/statement.ts'

export type Family = 'ip' | 'ip6'

export const fastTable = (family: Family): TableRef => ({ family, name: 'coracle-fast' })

const flowtable = 'fast'
/** Behind all filters: what they drop is no connection. */
const afterFilters = 10

/** From nothing. `pods`: the cluster's range; `devices` must be there. */
export const fastPathOf = (family: Family, { pods, devices }: { pods: string; devices: readonly string[] }): NftCommand[] => {
  const table = inTable(fastTable(family))
  const spec: FlowtableSpec = { name: flowtable, priority: 0, devices }
  const fast = (end: 'saddr' | 'daddr') => rule(match('ct state', 'established'), match(`${family} ${end}`, pods), flowAdd(flowtable))
  return [
    table.add(),
    table.addFlowtable(spec),
    table.addChain({ name: 'forward', base: { type: 'filter', hook: 'forward', priority: afterFilters, policy: 'accept' } }),
    table.addRule('forward', commented('from pods', fast('saddr'))),
    table.addRule('forward', commented('to pods', fast('daddr'))),
  ]
}

/** The links of a table that is as we make it; undefined for one that is not. A link that went took itself out. */
export const devicesIn = ({ flowtables, chains }: Table): readonly string[] | undefined =>
  flowtables[0]?.name === flowtable && chains[0]?.rules.length === 2 ? flowtables[0].devices : undefined
