// One run of a plugin (spec, section 2): a program that is told by its environment what to do, reads its
// configuration and answers on its standard output.

import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

export type Command = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION'

export type Call = {
  command: Command
  /** Folders that programs are looked for in. */
  binDirs: readonly string[]
  type: string
  /** CNI_*, but for the command and the folders. */
  env: Record<string, string>
  config: object
  deadlineMs: number
  signal?: AbortSignal
}

/** A plugin that failed. `code` is its own (spec, section 5: 7 invalid configuration, 11 try again later...), if it said one. */
export class PluginError extends Error {
  readonly code: number | undefined
  constructor(message: string, code?: number) {
    super(message)
    this.name = 'PluginError'
    this.code = code
  }
}

/** Longer answers are no result. */
const longestOutput = 1 << 20
/** Of what a plugin complains about, the end. */
const longestComplaint = 2048

/** The JSON that the plugin answered, undefined if nothing. Throws PluginError; the plugin and what it started are gone by then. */
export async function runPlugin(call: Call): Promise<unknown> {
  const program = await find(call.type, call.binDirs)
  const { output, complaint, end } = await execute(program, call)
  if (end !== 0) throw failure(output, complaint, end)
  if (output.trim() === '') return undefined
  try {
    return JSON.parse(output)
  } catch {
    throw new PluginError(`the answer is not JSON: ${shortened(output)}`)
  }
}

async function find(type: string, dirs: readonly string[]): Promise<string> {
  for (const dir of dirs) {
    const program = join(dir, type)
    const runs = await access(program, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs) return program
  }
  throw new PluginError(`failed to find plugin "${type}" in path [${dirs.join(' ')}]`)
}

type Ended = { output: string; complaint: string; end: number | string }

function execute(program: string, { command, env, config, binDirs, deadlineMs, signal }: Call): Promise<Ended> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that nothing it started outlives the deadline.
    const child = spawn(program, [], {
      detached: true,
      env: { PATH: process.env['PATH'], ...env, CNI_COMMAND: command, CNI_PATH: binDirs.join(':') },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    let [output, complaint, why] = ['', '', '']
    const kill = (reason: string) => {
      why ||= reason
      if (child.pid === undefined) return
      try {
        process.kill(-child.pid, 'SIGKILL')
      } catch {
        // It ended by itself.
      }
      // Whoever left the group may hold the pipes open still.
      child.stdout.destroy()
      child.stderr.destroy()
    }
    const abort = () => kill('aborted')
    const timer = setTimeout(() => kill(`no answer within ${deadlineMs / 1000} seconds`), deadlineMs)
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
      if (output.length > longestOutput) kill(`the answer is longer than ${longestOutput} bytes`)
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      complaint = (complaint + chunk).slice(-longestComplaint)
    })
    // It may end without reading.
    child.stdin.on('error', () => {})
    child.stdin.end(JSON.stringify(config))
    const settle = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
    child.on('error', (error) => {
      settle()
      reject(new PluginError(error.message))
    })
    child.on('close', (status, signalName) => {
      settle()
      resolve({ output, complaint, end: why || (status ?? signalName ?? 'gone') })
    })
  })
}

/** What the plugin said of its failure, or else how it ended. */
function failure(output: string, complaint: string, end: number | string): PluginError {
  if (typeof end === 'string' && !end.startsWith('SIG')) return new PluginError(end)
  try {
    const { code, msg, details } = JSON.parse(output) as Record<string, unknown>
    if (typeof msg === 'string' && msg !== '')
      return new PluginError(
        typeof details === 'string' && details !== '' ? `${msg}; ${details}` : msg,
        typeof code === 'number' ? code : undefined,
      )
  } catch {
    // Not the error that it should be.
  }
  const how = typeof end === 'number' ? `exit status ${end}` : end
  const said = shortened(complaint.trim() || output.trim())
  return new PluginError(said ? `netplugin failed: ${how}: ${said}` : `netplugin failed with no error message: ${how}`)
}

const shortened = (text: string): string => (text.length > 200 ? `${text.slice(0, 200)}…` : text)
