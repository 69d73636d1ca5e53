// The one error type for everything the kernel refuses.

import { constants } from 'node:os'
import type { SysErrorLike } from './types.ts'

/** A failed system call or netlink command. `code` is the errno's name; test it, never the message. */
export class SysError extends Error implements SysErrorLike {
  readonly code: string
  readonly syscall: string
  readonly detail: string
  constructor(error: number | string, syscall: string, detail: string, options?: ErrorOptions) {
    const code = typeof error === 'string' ? error : errnoName(error)
    super(`${syscall}: ${code}${detail && `: ${detail}`}`, options)
    this.name = 'SysError'
    this.code = code
    this.syscall = syscall
    this.detail = detail
  }
}

/** Whether an error is the kernel's, with one of these codes. */
export const isSysError = (error: unknown, ...codes: string[]): error is SysError =>
  error instanceof SysError && (codes.length === 0 || codes.includes(error.code))

// Two names share a number here and there; the one that nf_tables and rtnetlink mean comes last.
const names = new Map<number, string>()
for (const [name, number] of Object.entries(constants.errno)) names.set(number, name)
names.set(constants.errno.EAGAIN, 'EAGAIN').set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP')
// Of the kernel's own: a batch of nf_tables whose generation is past.
names.set(85, 'ERESTART')

/** The name of a positive errno; a number that the platform has no name for becomes `E<number>`. */
const errnoName = (errno: number): string => names.get(errno) ?? `E${errno}`
