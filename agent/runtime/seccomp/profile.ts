// seccomp(2) filters of containers, in the form of the runtime specification (config-linux.md, Seccomp).

import { readFile } from 'node:fs/promises'
import { RuntimeError } from '../runtime-error.ts'
import { always, onArchitecture, withCapability } from './calls.ts'

type Argument = { index: number; value: number; valueTwo?: number; op: string }
type Rule = { names: string[]; action: string; errnoRet?: number; args?: Argument[] }

/** A runtime-spec `linux.seccomp`. */
export type SeccompFilter = { defaultAction: string; defaultErrnoRet?: number; architectures?: string[]; syscalls?: Rule[] }

/** Which one a container asks for; the absence of any is a container without a filter. */
export type SeccompChoice = { type: 'RuntimeDefault' } | { type: 'Localhost'; path: string }

const ALLOW = 'SCMP_ACT_ALLOW'
const EPERM = 1
const ENOSYS = 38

/**
 * A processor's own, and the narrower one whose programs it runs too. Each costs about 4 ms of every start.
 * x32 is left out: kernels have it turned off, and its calls end a program that is under a filter of x86-64.
 */
const architectures: Readonly<Record<string, string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
}

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET of linux/sched.h. */
const NEW_NAMESPACES = 0x7e020000
/** linux/personality.h: PER_LINUX, PER_LINUX32, each with UNAME26 too, and the question what is set. */
const personalities = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]
/** linux/socket.h. It reaches past every network namespace, to the machine that this one is a guest of. */
const AF_VSOCK = 40

/** The default filter for a container with these capabilities (`CAP_` names). */
export function defaultFilter(capabilities: readonly string[], arch: string = process.arch): SeccompFilter {
  const admin = capabilities.includes('CAP_SYS_ADMIN')
  const names = [...always, ...(onArchitecture[arch] ?? []), ...capabilities.flatMap((name) => withCapability[name] ?? [])]
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    ...(architectures[arch] && { architectures: architectures[arch] }),
    syscalls: [
      { names: [...new Set(names)], action: ALLOW },
      ...personalities.map((value) => ({ names: ['personality'], action: ALLOW, args: [{ index: 0, value, op: 'SCMP_CMP_EQ' }] })),
      { names: ['socket'], action: ALLOW, args: [{ index: 0, value: AF_VSOCK, op: 'SCMP_CMP_NE' }] },
      ...(admin ? [] : [clone, clone3]),
    ],
  }
}

const clone: Rule = {
  names: ['clone'],
  action: ALLOW,
  args: [{ index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
}
/** Its flags are in memory, where a filter cannot look. C libraries that hear that there is none take clone. */
const clone3: Rule = { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS }

/** A profile from the node's own folder. Throws RuntimeError: a container never runs with less than it asked for. */
export async function readFilter(path: string): Promise<SeccompFilter> {
  const fail = (why: string, cause?: unknown) =>
    new RuntimeError('CreateContainerError', `cannot load seccomp profile ${JSON.stringify(path)}: ${why}`, { cause })
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw fail(error.code === 'ENOENT' ? 'no such file' : error.message, error)
  })
  let profile: Partial<SeccompFilter> | null
  try {
    profile = JSON.parse(text) as Partial<SeccompFilter> | null
  } catch (error) {
    throw fail('it is not JSON', error)
  }
  if (typeof profile?.defaultAction !== 'string') throw fail('it has no defaultAction')
  return profile as SeccompFilter
}
