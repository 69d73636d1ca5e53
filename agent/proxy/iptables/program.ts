// iptables-save and iptables-restore of one family, in one network namespace.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { findProgram } from '../../program.ts'
import type { ProxyFamily } from '../family.ts'

const exec = promisify(execFile)

export interface Iptables {
  save(): Promise<string>
  /** Throws RefusedLine if a line is not taken; each table is as before, or as wanted. */
  restore(text: string): Promise<void>
}

/** `line` from 1 on; undefined: iptables does not say which. */
export class RefusedLine extends Error {
  readonly line: number | undefined

  constructor(message: string, line: number | undefined, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RefusedLine'
    this.line = line
  }
}

/** The kind with tables of its own: it needs no nf_tables. The other where a host has only that. */
export const findIptables = async (family: ProxyFamily, netns?: string): Promise<Iptables> => {
  const name = family === 'ip' ? 'iptables' : 'ip6tables'
  const find = (what: string) => findProgram(`${name}-legacy-${what}`).catch(() => findProgram(`${name}-${what}`))
  const [save, restore] = await Promise.all([find('save'), find('restore')])
  const inside = (program: string, ...args: string[]): [string, string[]] =>
    netns === undefined ? [program, args] : ['nsenter', [`--net=${netns}`, program, ...args]]
  const options = { maxBuffer: 256 << 20 }
  return {
    save: async () => (await exec(...inside(save), options)).stdout,
    async restore(text) {
      const running = exec(...inside(restore, '-w', '5', '--noflush'), options)
      running.child.stdin?.on('error', () => {}) // it may end without reading all
      running.child.stdin?.end(text)
      try {
        await running
      } catch (cause) {
        const { stderr = '' } = cause as { stderr?: string }
        const [, line] = /line:? (\d+)/.exec(stderr) ?? []
        throw new RefusedLine(`iptables: ${stderr.trim()}`, line === undefined ? undefined : Number(line), { cause })
      }
    },
  }
}
