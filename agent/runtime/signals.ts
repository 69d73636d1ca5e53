// Signal names as images and pods write them.

import { constants } from 'node:os'

/** SIGRTMIN of glibc and musl, as the kernel counts. */
const firstRealTime = 34

/** The number of `TERM`, `SIGTERM`, `15` or `SIGRTMIN+3`; undefined if it is none. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64 ? Number(text) : undefined
  const name = text.toUpperCase().replace(/^(?!SIG)/, 'SIG')
  const realTime = /^SIGRT(MIN\+|MAX-)(\d+)$/.exec(name)
  if (realTime) return realTime[1] === 'MIN+' ? firstRealTime + Number(realTime[2]) : 64 - Number(realTime[2])
  return constants.signals[name as NodeJS.Signals]
}
