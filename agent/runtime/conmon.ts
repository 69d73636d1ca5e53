// conmon(8): the monitor of one container. It runs the OCI runtime, keeps the log, holds stdin and the
// terminal, and leaves the exit code in a file. It is a daemon, so the agent may come and go.

import { spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { filesOf } from './record.ts'
import { type ContainerSpec } from './runtime.ts'
import { RuntimeError } from './runtime-error.ts'

export type Programs = {
  conmon: string
  runtime: string
  /** Where the OCI runtime keeps its own state. */
  runtimeRoot: string
  /** No log file grows beyond it. */
  logBytes: number
}

/** Creates the container of the bundle in `dir`, not yet started; resolves with its first process's pid. */
export async function createUnderConmon(programs: Programs, dir: string, exitDir: string, spec: ContainerSpec): Promise<number> {
  const child = spawn(programs.conmon, conmonArguments(programs, dir, exitDir, spec), {
    cwd: dir,
    // A session of its own: a signal to our terminal is not meant for it.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    // The log's times are in its time zone.
    env: { PATH: process.env.PATH, TZ: 'UTC', _OCI_SYNCPIPE: '3' },
  })
  const complaint = text(child.stderr!).catch(() => '')
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => {
      reject(new RuntimeError('CreateContainerError', `cannot run ${programs.conmon}: ${error.message}`, { cause: error }))
    })
  })
  const { data = -1, message = '' } = parseAnswer(await Promise.race([firstLine(child.stdio[3] as Readable), failed]))
  if (data > 0) return data
  throw new RuntimeError('RunContainerError', plainMessage(message || (await complaint)) || 'conmon ended without an answer')
}

function conmonArguments({ runtime, runtimeRoot, logBytes }: Programs, dir: string, exitDir: string, spec: ContainerSpec): string[] {
  const args = ['--api-version', '1', '--cid', spec.id, '--cuuid', spec.id, '--name', `${spec.pod.namespace}_${spec.pod.name}_${spec.name}`]
  args.push('--runtime', runtime, '--runtime-arg', `--root=${runtimeRoot}`, '--bundle', dir, '--exit-dir', exitDir)
  args.push('--conmon-pidfile', filesOf(dir).conmonPid, '--container-pidfile', `${dir}/pidfile`)
  args.push('--log-path', `k8s-file:${spec.logPath}`, '--no-sync-log', '--log-level', 'error', '--full-attach')
  // Between two looks at its size a log may grow by gigabytes: then the monitor begins it anew by itself.
  args.push('--log-size-max', String(logBytes))
  if (spec.tty) args.push('--terminal')
  if (spec.stdin) args.push('--stdin')
  if (spec.stdin && !spec.stdinOnce) args.push('--leave-stdin-open')
  return args
}

/** conmon keeps its end open for as long as the container lives; nothing more comes. */
async function firstLine(pipe: Readable): Promise<string> {
  let line = ''
  for await (const chunk of pipe.setEncoding('utf8')) {
    line += chunk
    if (line.includes('\n')) break
  }
  return line
}

/** The sync pipe's one line: `{"data": pid}`, or a negative one and what the runtime said. */
function parseAnswer(line: string): { data?: number; message?: string } {
  try {
    return JSON.parse(line) as { data?: number; message?: string }
  } catch {
    return {}
  }
}

/** The text inside the OCI runtime's log line, if it is one: `time="…" level=error msg="…"`. */
export function plainMessage(message: string): string {
  const found = [...message.matchAll(/msg="((?:[^"\\]|\\.)*)"/g)].at(-1)?.[1]
  return (found ? found.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c)) : message).trim()
}

/** A terminal's size: conmon passes it on. */
export const resizeTerminal = (dir: string, size: { width: number; height: number }): Promise<void> =>
  control(dir, `1 ${clamp(size.height)} ${clamp(size.width)}\n`)

/** Makes conmon write to a new log file, after the old one was renamed away. */
export const reopenLog = (dir: string): Promise<void> => control(dir, '2 0 0\n')

/** conmon refuses more. */
const clamp = (n: number): number => Math.min(Math.max(Math.trunc(n) || 0, 0), 1000)

async function control(dir: string, line: string): Promise<void> {
  // Non-blocking: without conmon at the other end this fails (ENXIO) instead of waiting for it.
  const fifo = await open(filesOf(dir).control, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    await fifo.write(line)
  } finally {
    await fifo.close()
  }
}
