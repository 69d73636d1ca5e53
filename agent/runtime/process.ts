// Processes that are not our children, told apart from later ones that got the same pid.

import { readFileSync } from 'node:fs'

/** Boot and start time of a process (field 22 of proc_pid_stat(5)); undefined once it is gone or a zombie. */
export function identityOf(pid: number, bootId: string): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command's name is in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : `${bootId}/${fields[19]}`
  } catch {
    return undefined
  }
}

/** Whether the process runs a command with `argument` among its own. */
export function runsWith(pid: number, argument: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(argument)
  } catch {
    return false
  }
}

/** Signals the process if it is still the one we mean. */
export function signalProcess(pid: number, signal: NodeJS.Signals | number, stillIt: () => boolean): boolean {
  if (pid <= 1 || !stillIt()) return false
  try {
    process.kill(pid, signal)
    return true
  } catch {
    return false
  }
}
