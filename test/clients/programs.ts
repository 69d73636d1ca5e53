// The Go programs that `make clients` builds: outsiders that speak to a cluster as others do.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

export const program = (name: string): string => join(resolve(import.meta.dirname, '../../.coracle/clients'), name)

export type Line = Record<string, string>
export type Running = {
  /** Every line so far. */
  readonly lines: Line[]
  /** The first line, from `after` on, that `is` accepts; throws with what the program complained of if it ends before. */
  line(is: (line: Line) => boolean, after?: number): Promise<Line>
  write(text: string): void
  /** Ends it and resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Runs a program that prints lines of JSON. */
export function runProgram(name: string, args: string[], env: Record<string, string> = {}): Running {
  const child = spawn(program(name), args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  const lines: Line[] = []
  const waiting = new Set<() => void>()
  const wake = () => {
    for (const each of waiting) each()
    waiting.clear()
  }
  let complaints = ''
  let gone = false
  child.stderr.on('data', (text: Buffer) => {
    complaints = (complaints + text.toString()).slice(-20_000)
  })
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as Line)
    wake()
  })
  child.on('close', () => {
    gone = true
    wake()
  })
  child.on('error', (error) => {
    complaints += String(error)
  })
  return {
    lines,
    async line(is, after = 0) {
      const late = AbortSignal.timeout(120_000)
      late.addEventListener('abort', wake)
      for (;;) {
        const found = lines.slice(after).find(is)
        if (found) return found
        if (gone || late.aborted)
          throw new Error(
            `${name} ${gone ? 'has ended' : 'does not say it'}; it complained: ${complaints}; its lines: ${JSON.stringify(lines.slice(-20))}`,
          )
        await new Promise<void>((done) => waiting.add(done))
      }
    },
    write: (text) => void child.stdin.write(text),
    async stop(signal = 'SIGTERM') {
      if (gone) return
      child.kill(signal)
      await once(child, 'close')
    },
  }
}
