// Running other people's programs from the harness.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const exec = promisify(execFile)

export type Output = { stdout: string; stderr: string; code: number }

/** Runs a program to its end; its exit code is part of the answer. */
export async function attempt(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; input?: string; timeout?: number } = {},
): Promise<Output> {
  const running = exec(program, args, {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    timeout: options.timeout ?? 120_000,
    env: options.env ?? process.env,
  })
  running.child.stdin?.on('error', () => {}) // the program may end without reading it
  running.child.stdin?.end(options.input ?? '')
  try {
    return { ...(await running), code: 0 }
  } catch (error) {
    const { stdout = '', stderr = '', code } = error as { stdout?: string; stderr?: string; code?: number | string }
    if (typeof code === 'string') throw error // it could not be started
    return { stdout, stderr, code: code ?? 124 }
  }
}

/** As `attempt`, but a failure throws with what the program printed. */
export async function run(program: string, ...args: string[]): Promise<string> {
  const { stdout, stderr, code } = await attempt(program, args)
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit ${code}: ${stderr.trim() || stdout.trim()}`)
  return stdout
}
