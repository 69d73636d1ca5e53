// From what `iptables-save` prints to what `iptables-restore --noflush` is given: only chains of ours whose
// rules differ are written, each whole, and each table is changed at once or not at all.

import { type Chains, hooks, type Rule, type TableName } from './chains.ts'

const tables = ['nat', 'mangle', 'filter'] as const
const isOurs = (chain: string): boolean => chain.startsWith('CORACLE-')

/** What a table holds of ours: its chains, and what leads into them, as whole lines. */
type Held = { chains: Map<string, string[]>; hooks: Set<string> }

export const parseSave = (text: string): Record<TableName, Held> => {
  const held = Object.fromEntries(tables.map((name) => [name, { chains: new Map(), hooks: new Set() }])) as unknown as Record<
    TableName,
    Held
  >
  let table: Held | undefined
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = held[line.slice(1) as TableName]
    if (!table) continue
    const [, chain = ''] = /^:(\S+)/.exec(line) ?? []
    if (isOurs(chain)) table.chains.set(chain, [])
    const [, from = '', rule = ''] = /^-A (\S+) (.*)$/.exec(line) ?? []
    if (isOurs(from)) table.chains.get(from)?.push(rule)
    else if (/-j CORACLE-/.test(rule)) table.hooks.add(`${from} ${rule}`)
  }
  return held
}

/** `rules`: by line, from 1 on. Empty text: nothing is to be done. */
export type Restore = { text: string; rules: ReadonlyMap<number, Rule> }

export const restore = (held: Record<TableName, Held>, wanted: Chains): Restore => {
  const lines: string[] = []
  const rules = new Map<number, Rule>()
  for (const name of tables) {
    const before = lines.length
    const { chains, hooks: there } = held[name]
    const changed = [...wanted[name]].filter(([chain, all]) => !same(chains.get(chain), all))
    const stale = [...chains.keys()].filter((chain) => !wanted[name].has(chain))
    const leading = hooks[name].filter(({ chain, rule }) => !there.has(`${chain} ${rule}`))
    const strays = [...there].filter((line) => !hooks[name].some(({ chain, rule }) => line === `${chain} ${rule}`))
    if (changed.length + stale.length + leading.length + strays.length === 0) continue
    lines.push(`*${name}`)
    // Naming a chain empties it.
    for (const chain of [...changed.map(([chain]) => chain), ...stale]) lines.push(`:${chain} - [0:0]`)
    for (const [chain, all] of changed)
      for (const rule of all) {
        lines.push(`-A ${chain} ${rule.text}`)
        rules.set(lines.length, rule)
      }
    for (const { chain, rule } of leading) lines.push(`-I ${chain} ${rule}`)
    for (const stray of strays) lines.push(`-D ${stray}`)
    for (const chain of stale) lines.push(`-X ${chain}`)
    if (lines.length > before) lines.push('COMMIT')
  }
  return { text: lines.length > 0 ? `${lines.join('\n')}\n` : '', rules }
}

/** Takes everything of ours out; tables that have nothing of ours are not named. */
export const removal = (held: Record<TableName, Held>): string => {
  const lines = tables.flatMap((name) => {
    const { chains, hooks: there } = held[name]
    if (chains.size === 0 && there.size === 0) return []
    const names = [...chains.keys()]
    return [
      `*${name}`,
      ...names.map((chain) => `:${chain} - [0:0]`),
      ...[...there].map((line) => `-D ${line}`),
      ...names.map((chain) => `-X ${chain}`),
      'COMMIT',
    ]
  })
  return lines.length > 0 ? `${lines.join('\n')}\n` : ''
}

const same = (there: readonly string[] | undefined, wanted: readonly Rule[]): boolean =>
  there?.length === wanted.length && there.every((text, i) => text === wanted[i]?.text)
