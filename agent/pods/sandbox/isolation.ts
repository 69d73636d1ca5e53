// What this node gives of the isolation that pods ask for. What it cannot give, it refuses: a pod never
// runs with less than it asked for.

import { readFile } from 'node:fs/promises'
import { sysctlNamespace } from '#api/kinds/rules/sysctls.ts'
import type { AppArmorProfile, Pod } from '#api/types/core-v1.gen.ts'

export type Isolation = {
  /** Whether a container that says nothing gets the default system call filter. */
  seccompDefault: boolean
  /** Folder of the profiles that pods name as `localhostProfile`. */
  seccompDir: string
  /** Whether the kernel enforces AppArmor profiles. */
  apparmor: boolean
  /** Sysctls beside the safe ones, each a name or a prefix that ends in `*`. */
  unsafeSysctls: readonly string[]
  /** Processes and threads of one pod; absent: as many as the node has. */
  pidsLimit?: number
}

/** The kubelet's list: they are the pod's own, and do no harm to others (kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster). */
const safeSysctls: readonly string[] = [
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]

/** Throws where a pattern allows what no pod can have for itself. */
export function checkUnsafeSysctls(patterns: readonly string[]): void {
  for (const pattern of patterns) {
    if (!/^[a-z0-9][-_a-z0-9./]*\*?$/.test(pattern) || !sysctlNamespace(dotted(pattern))) {
      throw new Error(`--allowed-unsafe-sysctls: ${JSON.stringify(pattern)} names no sysctl that a pod has of its own`)
    }
  }
}

/** Whether this kernel enforces AppArmor profiles. */
export const hasAppArmor = async (): Promise<boolean> =>
  (await readFile('/sys/module/apparmor/parameters/enabled', 'utf8').catch(() => '')).startsWith('Y')

/** Why the pod may not run on this node at all, in the kubelet's words; undefined: it may. */
export function refusal(pod: Pod, isolation: Isolation): { reason: string; message: string } | undefined {
  const sysctls = pod.spec.securityContext?.sysctls ?? []
  for (const { name } of sysctls) {
    const why = sysctlRefusal(pod, dotted(name), isolation)
    if (why) return { reason: 'SysctlForbidden', message: `forbidden sysctl: ${JSON.stringify(name)} ${why}` }
  }
  if (!isolation.apparmor && wantsAppArmor(pod)) {
    return { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' }
  }
  return undefined
}

function sysctlRefusal({ spec }: Pod, name: string, { unsafeSysctls }: Isolation): string | undefined {
  const namespace = sysctlNamespace(name)
  const allowed =
    safeSysctls.includes(name) ||
    (namespace !== undefined &&
      unsafeSysctls.map(dotted).some((pattern) => (pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern)))
  if (!allowed) return 'not allowlisted'
  if (spec.hostNetwork && namespace === 'net') return 'not allowed with host net enabled'
  if (spec.hostIPC && namespace === 'ipc') return 'not allowed with host ipc enabled'
  return undefined
}

/** sysctl(8): slashes may part the names, and dots are then part of them. */
const dotted = (name: string): string => {
  const first = /[./]/.exec(name)?.[0]
  return first === '/' ? name.replace(/[./]/g, (mark) => (mark === '/' ? '.' : '/')) : name
}

const ANNOTATION = 'container.apparmor.security.beta.kubernetes.io/'

/** Of the container, by its own word, its pod's, or the annotation that older manifests have. Undefined: it says nothing. */
export function appArmorOf(
  pod: Pod,
  container: { name: string; securityContext?: { appArmorProfile?: AppArmorProfile } },
): AppArmorProfile | undefined {
  const said = container.securityContext?.appArmorProfile ?? pod.spec.securityContext?.appArmorProfile
  const annotated = pod.metadata?.annotations?.[ANNOTATION + container.name]
  if (said || annotated === undefined) return said
  if (annotated === 'runtime/default') return { type: 'RuntimeDefault' }
  if (annotated.startsWith('localhost/')) return { type: 'Localhost', localhostProfile: annotated.slice('localhost/'.length) }
  return { type: 'Unconfined' }
}

function wantsAppArmor(pod: Pod): boolean {
  const { initContainers = [], containers, ephemeralContainers = [] } = pod.spec
  return [...initContainers, ...containers, ...ephemeralContainers].some((container) => {
    const profile = appArmorOf(pod, container)
    return profile !== undefined && profile.type !== 'Unconfined'
  })
}
