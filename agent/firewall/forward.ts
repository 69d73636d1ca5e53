// Lets pods' packets through a host's FORWARD chain of iptables whose policy is to drop: Docker sets that,
// and so does ufw. An accept of ours in a table of ours could not undo it (in nf_tables a drop anywhere
// is final), so this is the one place where rules of ours stand in a chain of others, as those of flannel
// and k3s do: at its end, where every rule of the host's own has spoken before and only the policy is
// left. Rules that drop, in this chain or in other tables, stay as they are and are obeyed.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Nft } from 'nft-js'
import { type Clock, sleep } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { findProgram } from '../program.ts'

export type Family = 'ip' | 'ip6'

export type ForwardOptions = {
  /** The cluster's pods, a prefix for each family that the node forwards. */
  pods: Partial<Record<Family, string>>
  /** Path of a network namespace; absent: the process's own. */
  netns?: string
  nft: Pick<Nft, 'generation'>
  clock: Clock
  log: Log
}

/** Marks our rules for people, and for the next agent. */
const mark = 'coracle: pods'
/** How often the generation number of nf_tables is asked for, milliseconds: Docker may be installed later. */
const LOOK_MS = 5_000

/** iptables keeps its chains in nf_tables, or in tables of its own kind; a host may have both. */
const variants = [
  { family: 'ip', program: 'iptables-nft', legacy: undefined },
  { family: 'ip', program: 'iptables-legacy', legacy: '/proc/net/ip_tables_names' },
  { family: 'ip6', program: 'ip6tables-nft', legacy: undefined },
  { family: 'ip6', program: 'ip6tables-legacy', legacy: '/proc/net/ip6_tables_names' },
] as const

/** From what `iptables -S FORWARD` prints to the changes, as arguments of iptables. Without `pods`: ours are taken out. */
export const plan = (listing: string, pods: string | undefined): string[][] => {
  const wanted = new Set(
    pods !== undefined && /^-P FORWARD DROP$/m.test(listing)
      ? ['-s', '-d'].map((end) => `-A FORWARD ${end} ${pods} -m comment --comment "${mark}" -j ACCEPT`)
      : [],
  )
  const ours = listing.split('\n').filter((line) => line.includes(`--comment "${mark}"`))
  const stray = ours.filter((line) => !wanted.has(line)).map((line) => line.replace(/^-A/, '-D'))
  return [...stray, ...[...wanted].filter((line) => !ours.includes(line))].map(wordsOf)
}

/** Of a rule as iptables prints it; what is in quotes is one. */
const wordsOf = (rule: string): string[] => [...rule.matchAll(/"([^"]*)"|\S+/g)].map(([word, quoted]) => quoted ?? word)

/** Puts the rules where they are needed and takes them out where not. Idempotent; makes no table that is not there. */
export const applyForward = async ({ pods, netns, log }: Pick<ForwardOptions, 'pods' | 'netns' | 'log'>): Promise<void> => {
  const run = async (...command: string[]): Promise<string> => {
    const [program = '', ...args] = netns === undefined ? command : ['nsenter', `--net=${netns}`, ...command]
    return (await exec(program, args)).stdout
  }
  for (const { family, program, legacy } of variants) {
    // Asking the old kind for its chains would make them.
    if (legacy !== undefined && !/^filter$/m.test(await run('cat', legacy).catch(() => ''))) continue
    const path = await findProgram(program).catch(() => undefined)
    if (path === undefined) continue
    try {
      for (const change of plan(await run(path, '-w', '5', '-S', 'FORWARD'), pods[family])) {
        log.info({ rule: change.join(' ') }, `${program}: the FORWARD chain drops by policy`)
        await run(path, '-w', '5', ...change)
      }
    } catch (err) {
      // A table of that name that nft made is the host's own, and no business of iptables or ours.
      log.debug({ err }, `${program} cannot read the FORWARD chain`)
    }
  }
}

/** Settles now and whenever rules were changed. Closing leaves the rules. */
export const keepForward = ({ nft, clock, ...options }: ForwardOptions): { close(): Promise<void> } => {
  const closing = new AbortController()
  const keeping = (async () => {
    for (let applied = -1; !closing.signal.aborted; ) {
      try {
        const generation = await nft.generation()
        if (generation !== applied) await applyForward(options)
        applied = generation
      } catch (err) {
        options.log.warn({ err }, 'the FORWARD chain could not be looked at')
      }
      await sleep(clock, LOOK_MS, closing.signal)
    }
  })()
  return {
    async close() {
      closing.abort()
      await keeping
    },
  }
}

export const removeForward = (options: Pick<ForwardOptions, 'netns' | 'log'>): Promise<void> => applyForward({ ...options, pods: {} })

const exec = promisify(execFile)
