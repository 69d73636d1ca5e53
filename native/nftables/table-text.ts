// A table in nft's own syntax, as `nft list table` prints it, except that elements stand in the order
// of their keys, one to a line: so that two dumps of equal tables are equal.

import { duration, type Elements } from './elements.ts'
import { flowtableLines } from './flowtable.ts'
import { objectLines } from './object.ts'
import { ruleText } from './rule-text.ts'
import { type Field, isDatatype } from './selector.ts'
import type { SetSpec } from './set.ts'
import type { Chain, ChainSpec, Hook, NftSet, Table } from './table.ts'

export const tableText = (table: Table): string => {
  const sets = new Map(table.sets.map(({ spec }) => [spec.name, spec]))
  const blocks = [
    ...table.objects.map((object) => block({ head: `${object.kind} ${object.name}`, lines: objectLines(object, table.family) })),
    ...table.sets.map((set) => block(setText(set))),
    ...table.flowtables.map((flowtable) =>
      block({ head: `flowtable ${flowtable.name}`, lines: flowtableLines(flowtable, priorityText({ hook: 'ingress', ...flowtable })) }),
    ),
    ...table.chains.map((chain) => block(chainText(chain, (rule) => ruleText(rule, table.family, sets)))),
  ]
  return `table ${table.family} ${table.name} {\n${blocks.join('\n')}}\n`
}

const block = ({ head, lines }: { head: string; lines: string[] }): string =>
  `\t${head} {\n${lines.map((line) => `\t\t${line}\n`).join('')}\t}\n`

const setText = ({ spec, elements }: NftSet) => {
  const lines = [typeText(spec)]
  if (spec.size) lines.push(`size ${spec.size}`)
  if (spec.flags?.length) lines.push(`flags ${flagOrder.filter((flag) => spec.flags?.includes(flag)).join(',')}`)
  if (spec.timeoutMs) lines.push(`timeout ${duration(spec.timeoutMs)}`)
  const texts = sortedRows(elements).map((row) => elements.text(row))
  if (texts.length > 0) lines.push(`elements = { ${texts.join(',\n\t\t\t     ')} }`)
  return { head: `${spec.data ? 'map' : 'set'} ${spec.name}`, lines }
}

const flagOrder = ['dynamic', 'constant', 'interval', 'timeout'] as const

const typeText = (spec: SetSpec): string => {
  const fields = spec.data && spec.data !== 'verdict' ? [...spec.key, ...spec.data] : spec.key
  const word = fields.every(isDatatype) ? 'type' : 'typeof'
  const join = (list: readonly Field[]) => list.join(' . ')
  const data = spec.data === undefined ? '' : ` : ${spec.data === 'verdict' ? 'verdict' : join(spec.data)}`
  return `${word} ${join(spec.key)}${data}`
}

/** By key, in the order of its bytes. */
const sortedRows = (elements: Elements): number[] => {
  const { words, shape } = elements
  const bytes = new DataView(words.buffer, words.byteOffset)
  const compare = (a: number, b: number): number => {
    for (let i = 0; i < shape.dataAt; i++) {
      const difference = bytes.getUint32((a * shape.rowWords + i) * 4) - bytes.getUint32((b * shape.rowWords + i) * 4)
      if (difference !== 0) return difference
    }
    return 0
  }
  return Array.from({ length: elements.count }, (_, row) => row).sort(compare)
}

const chainText = (chain: Chain, text: (rule: Chain['rules'][number]) => string) => {
  const lines = chain.rules.map(text)
  if (chain.base) lines.unshift(baseText(chain.base))
  return { head: `chain ${chain.name}`, lines }
}

/** Priorities that have names. */
const priorities: Record<number, string> = { [-300]: 'raw', [-150]: 'mangle', 0: 'filter', 50: 'security' }
const natPriorities: Record<string, [string, number]> = { prerouting: ['dstnat', -100], postrouting: ['srcnat', 100] }

const baseText = (base: NonNullable<ChainSpec['base']>): string =>
  `type ${base.type} hook ${base.hook} priority ${priorityText(base)}; policy ${base.policy ?? 'accept'};`

/** nft names what lies within 10 of a name by its distance. */
const priorityText = ({ hook, priority }: { hook: Hook | 'ingress'; priority: number }): string => {
  const named: [string, number][] = Object.entries(priorities).map(([number, name]) => [name, Number(number)])
  const nat = natPriorities[hook]
  if (nat) named.push(nat)
  for (const [name, number] of named) {
    const distance = priority - number
    if (distance === 0) return name
    if (Math.abs(distance) <= 10) return `${name} ${distance < 0 ? '-' : '+'} ${Math.abs(distance)}`
  }
  return String(priority)
}
