// Linux capabilities by their Kubernetes names, which lack the CAP_ prefix.

import { RuntimeError } from './runtime-error.ts'

/** By number (linux/capability.h): the position is the bit in /proc/<pid>/status. */
const all = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST ' +
  'NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE ' +
  'SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM ' +
  'BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ')

/** What a container has unless it says otherwise, here and in every other runtime. */
const defaults =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE'.split(' ')

/** The names in a capability mask of /proc/<pid>/status. */
export function parseMask(hex: string): Set<string> {
  const bits = BigInt(`0x${hex}`)
  return new Set(all.filter((_, bit) => (bits >> BigInt(bit)) & 1n))
}

/**
 * The set of a container, as CAP_ names in the order of their numbers. `ALL` in `add` or a privileged
 * container means all that this process has itself; a single one that it lacks is an error.
 */
export function capabilitiesOf(
  container: { privileged: boolean; capabilities: { add: string[]; drop: string[] } },
  own: ReadonlySet<string>,
): string[] {
  const add = container.capabilities.add.map(plain)
  const drop = container.capabilities.drop.map(plain)
  const result = new Set(drop.includes('ALL') ? [] : defaults.filter((name) => own.has(name)))
  if (container.privileged || add.includes('ALL')) for (const name of own) result.add(name)
  for (const name of drop) result.delete(name)
  for (const name of add) {
    if (name === 'ALL') continue
    if (!all.includes(name)) throw new RuntimeError('CreateContainerError', `unknown capability ${name}`)
    if (!own.has(name)) throw new RuntimeError('CreateContainerError', `capability ${name} is not available on this node`)
    result.add(name)
  }
  return all.filter((name) => result.has(name)).map((name) => `CAP_${name}`)
}

const plain = (name: string): string => name.toUpperCase().replace(/^CAP_/, '')
