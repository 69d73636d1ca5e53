// The mounts of a container: those that every Linux program expects, then its own.

import type { Host } from './host.ts'
import type { ContainerSpec, Mount } from './runtime.ts'

export type OciMount = { destination: string; type: string; source: string; options: string[] }

const hidden = ['nosuid', 'noexec', 'nodev']

/** A target that the container mounts itself is left to it. */
export function defaultMounts(spec: ContainerSpec, host: Host): OciMount[] {
  const writable = spec.privileged ? 'rw' : 'ro'
  const mounts: OciMount[] = [
    { destination: '/proc', type: 'proc', source: 'proc', options: hidden },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    // Group 5 is tty in every distribution.
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: hidden },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...hidden, writable] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...hidden, 'relatime', spec.privileged && host.cgroupVersion === 2 ? 'rw' : 'ro'],
    },
    // Shared memory belongs to the IPC namespace: with the host's comes the host's.
    spec.namespaces.ipc
      ? { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...hidden, 'mode=1777', 'size=65536k'] }
      : { destination: '/dev/shm', type: 'bind', source: '/dev/shm', options: ['rbind', ...hidden] },
  ]
  const taken = new Set(spec.mounts.map((mount) => mount.target))
  return mounts.filter((mount) => !taken.has(mount.destination))
}

export function mountOf({ source, target, readOnly, type = 'bind', options = [] }: Mount): OciMount {
  const access = readOnly ? ['ro'] : []
  if (type !== 'bind') return { destination: target, type, source: source || type, options: [...options, ...access] }
  // Private unless the mount says how changes on either side travel.
  const propagation = options.some((o) => /^r?(private|slave|shared)$/.test(o)) ? [] : ['rprivate']
  return { destination: target, type: 'bind', source, options: ['rbind', ...propagation, ...options, ...access] }
}
