// A further process in a running container: the OCI runtime's own `exec`, whose streams are ours, or
// the slave of a terminal of ours. It takes user, environment and limits from the container's bundle.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, constants, openSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { ReadStream } from 'node:tty'
import { openPty, setWindowSize } from 'nft-js'
import { type Programs, plainMessage } from './conmon.ts'
import type { Container } from './container.ts'
import { type ExecOptions } from './runtime.ts'
import { RuntimeError } from './runtime-error.ts'

/** A runtime that has not started its process by then never will. */
const startMs = 10_000
const pollMs = 5

/** Resolves with the exit code; 128 + n after signal n. Rejects with RuntimeError if it could not start, or the signal's reason. */
export async function exec({ runtime, runtimeRoot }: Programs, container: Container, options: ExecOptions): Promise<number> {
  const { args, tty, signal } = options
  signal?.throwIfAborted()
  const base = join(container.dir, `exec-${randomBytes(6).toString('hex')}`)
  const files = { pid: `${base}.pid`, log: `${base}.log`, process: `${base}.json` }
  const command = [`--root=${runtimeRoot}`, '--log', files.log, '--log-format', 'json', 'exec', '--pid-file', files.pid]
  const sizes = tty ? await openSizes(options.resize) : undefined
  if (tty) {
    await writeFile(files.process, JSON.stringify(await terminalProcess(container.dir, args, sizes?.first)), { mode: 0o600 })
    command.push('--tty', '--process', files.process, container.state.id)
  } else command.push(container.state.id, ...args)

  const kill = async (child: ChildProcess) => {
    // The process itself: the runtime alone would leave it behind. The runtime then reaps it and ends.
    // It may have written to its client before the runtime has written down who it is.
    for (const until = performance.now() + startMs; child.exitCode === null && child.signalCode === null; await sleep(pollMs)) {
      const pid = Number(await readFile(files.pid, 'utf8').catch(() => '0'))
      if (pid > 1) return signalQuietly(pid)
      if (performance.now() > until) return void child.kill('SIGKILL')
    }
  }
  try {
    const child = tty ? spawnOnTerminal(runtime, command, options, sizes) : spawnOnPipes(runtime, command, options)
    const abort = () => void kill(child)
    signal?.addEventListener('abort', abort, { once: true })
    try {
      const code = await ended(child)
      signal?.throwIfAborted()
      if (code !== 0) await throwIfNotStarted(files.log)
      return code
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  } finally {
    await Promise.all(Object.values(files).map((file) => rm(file, { force: true })))
  }
}

function spawnOnPipes(runtime: string, command: string[], { stdin, stdout, stderr }: ExecOptions): ChildProcess {
  const child = spawn(runtime, command, {
    stdio: [stdin ? 'pipe' : 'ignore', stdout ? 'pipe' : 'ignore', stderr ? 'pipe' : 'ignore'],
  })
  if (stdin && child.stdin) {
    // The process may end before it has read everything.
    child.stdin.on('error', () => {})
    stdin.pipe(child.stdin)
    child.once('close', () => stdin.unpipe())
  }
  if (stdout && child.stdout) relay(child.stdout, stdout)
  if (stderr && child.stderr) relay(child.stderr, stderr)
  return child
}

type Size = { width: number; height: number }
type Sizes = { first: Size | undefined; later: AsyncGenerator<Size> }

/** A program may look at its terminal's size first thing, so the process waits this long for the client to tell it. */
const firstSizeMs = 150

async function openSizes(resize: ExecOptions['resize']): Promise<Sizes | undefined> {
  const source = resize?.[Symbol.asyncIterator]()
  if (!source) return undefined
  const coming = source.next()
  const early = await Promise.race([coming, sleep(firstSizeMs)])
  async function* later() {
    for (let size = early ? await source!.next() : await coming; !size.done; size = await source!.next()) yield size.value
  }
  return { first: early && !early.done ? early.value : undefined, later: later() }
}

/** The container's own process with other arguments. The runtime sets a size given here before the process runs. */
async function terminalProcess(bundle: string, args: string[], size: Size | undefined): Promise<unknown> {
  const { process } = JSON.parse(await readFile(join(bundle, 'config.json'), 'utf8')) as { process: { env?: string[] } }
  return { ...process, args, terminal: true, env: [...(process.env ?? []), 'TERM=xterm'], ...(size && { consoleSize: size }) }
}

/** Everything on stdout: a terminal has no second stream. */
function spawnOnTerminal(
  runtime: string,
  command: string[],
  { stdin, stdout, signal }: ExecOptions,
  sizes: Sizes | undefined,
): ChildProcess {
  const pty = openPty()
  if (sizes?.first) setWindowSize(pty.master, sizes.first)
  const terminal = new ReadStream(pty.master)
  const slave = openSync(pty.slave, constants.O_RDWR | constants.O_NOCTTY)
  let child: ChildProcess
  try {
    child = spawn(runtime, command, { stdio: [slave, slave, slave] })
  } catch (error) {
    terminal.destroy()
    throw error
  } finally {
    closeSync(slave)
  }
  // EIO, once the last process has closed the slave, is a terminal's end of file.
  terminal.on('error', () => {})
  if (stdin) {
    stdin.pipe(terminal, { end: false })
    terminal.once('close', () => stdin.unpipe(terminal))
  }
  if (stdout) relay(terminal, stdout)
  else terminal.resume()
  const follow = async () => {
    for await (const size of sizes?.later ?? []) {
      if (signal?.aborted || child.exitCode !== null || terminal.destroyed) return
      setWindowSize(pty.master, size)
      // The terminal is not the runtime's controlling one, so the kernel does not tell it.
      child.kill('SIGWINCH')
    }
  }
  follow().catch(() => {})
  return child
}

/** A reader that is gone must not block the process: the rest is read and dropped. */
function relay(from: Readable, to: Writable): void {
  to.once('close', () => from.resume())
  from.pipe(to, { end: false })
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new RuntimeError('StartError', `cannot run exec: ${error.message}`, { cause: error })))
    child.once('close', (code, signal) => resolve(code ?? (signal ? 137 : 1)))
  })
}

/** The runtime logs only its own errors, so a log means that the process never ran. */
async function throwIfNotStarted(log: string): Promise<void> {
  const text = await readFile(log, 'utf8').catch(() => '')
  const lines = text.split('\n').filter((line) => line.includes('"level":"error"'))
  if (lines.length === 0) return
  const { msg } = JSON.parse(lines.at(-1)!) as { msg: string }
  throw new RuntimeError('StartError', `OCI runtime exec failed: ${plainMessage(msg)}`)
}

function signalQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // Gone already.
  }
}
