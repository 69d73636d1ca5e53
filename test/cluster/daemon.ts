// Background processes that outlive the program that started them, found again by a pid file.

import { spawn } from 'node:child_process'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export type Daemon = { pidFile: string; logFile: string; command: string[] }

/** A pid is reused; together with its start time (clock ticks since boot, field 22 of /proc/PID/stat) it is not. */
async function startTime(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/** The daemon's pid if it runs. */
export async function pidOf(pidFile: string): Promise<number | undefined> {
  const [pid, started] = (await readFile(pidFile, 'utf8').catch(() => '')).split(' ')
  return pid && started && (await startTime(Number(pid))) === started ? Number(pid) : undefined
}

/** Starts the command unless it runs already. Its output is appended to the log file. */
export async function start({ pidFile, logFile, command }: Daemon): Promise<number> {
  const running = await pidOf(pidFile)
  if (running) return running
  await mkdir(dirname(pidFile), { recursive: true })
  await mkdir(dirname(logFile), { recursive: true })
  const log = await open(logFile, 'a')
  const [program = '', ...args] = command
  const child = spawn(program, args, { detached: true, stdio: ['ignore', log.fd, log.fd] })
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
  await log.close()
  child.unref()
  const pid = child.pid as number
  await writeFile(pidFile, `${pid} ${await startTime(pid)}`)
  return pid
}

/** As a power cut: KILL, at once; resolves once it is gone. Throws if it does not run. */
export async function kill(pidFile: string): Promise<void> {
  const pid = await pidOf(pidFile)
  if (!pid) throw new Error(`${pidFile} names no running process`)
  process.kill(pid, 'SIGKILL')
  while (await pidOf(pidFile)) await sleep(1)
}

/** TERM, then KILL after `graceMs`; resolves once it is gone. Idempotent. */
export async function stop(pidFile: string, graceMs = 10_000): Promise<void> {
  const pid = await pidOf(pidFile)
  if (pid) {
    process.kill(pid, 'SIGTERM')
    const deadline = performance.now() + graceMs
    while ((await pidOf(pidFile)) && performance.now() < deadline) await sleep(20)
    if (await pidOf(pidFile)) process.kill(pid, 'SIGKILL')
    while (await pidOf(pidFile)) await sleep(20)
  }
  await rm(pidFile, { force: true })
}
