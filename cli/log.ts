// Logs are JSON lines on standard output, for journald.

import { pino } from 'pino'
import type { Log } from '#api/log.ts'

const levels = ['debug', 'info', 'warn', 'error']

/** Throws on a level that is not one. */
export function openLog(component: string, level: string): Log {
  if (!levels.includes(level)) throw new Error(`--log-level must be one of ${levels.join(', ')}, not ${level}`)
  return pino({ name: component, level, base: { component }, timestamp: pino.stdTimeFunctions.isoTime })
}
