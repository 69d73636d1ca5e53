// Control groups below the agent's parent, on the unified hierarchy (v2) or on v1 and hybrid hosts,
// where the controllers are mounted one by one. Paths are relative to the parent, e.g.
// `kubepods/burstable/pod<uid>`; '' is the parent itself. Everything is idempotent.

import { constants } from 'node:fs'
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import type { Resources } from './runtime.ts'

export type CgroupStats = { cpuNanos: number; memoryWorkingSetBytes: number; memoryUsageBytes: number }

export interface Cgroups {
  readonly version: 1 | 2
  /** The cgroup's absolute path in every hierarchy, as in the runtime's `cgroupsPath`. */
  path(relative: string): string
  create(relative: string, resources: Resources): Promise<void>
  /** Sets limits of an existing one; what is absent becomes unlimited. */
  limit(relative: string, resources: Resources): Promise<void>
  /** Kills whatever still runs in it and removes it with everything below. */
  remove(relative: string): Promise<void>
  processes(relative: string): Promise<number[]>
  stats(relative: string): Promise<CgroupStats | undefined>
  /** How often the kernel killed for want of memory in it. */
  oomKills(relative: string): Promise<number>
  /** Whether memory limits can cover swap (v2 with swap accounting). */
  limitsSwap(): Promise<boolean>
}

type Hierarchy = { root: string; controllers: string[] }

/** Looks at what is mounted. Throws when no hierarchy is. */
export async function openCgroups(options: { parent: string; mountinfo?: string }): Promise<Cgroups> {
  const parent = normalize(`/${options.parent}`)
  if (parent === '/') throw new Error('the cgroup parent cannot be the root')
  const hierarchies = parseMounts(options.mountinfo ?? (await readFile('/proc/self/mountinfo', 'utf8')))
  const unified = hierarchies.find((h) => h.controllers.length === 0)
  const split = hierarchies.filter((h) => h.controllers.length > 0)
  if (split.some((h) => h.controllers.includes('memory') || h.controllers.includes('cpu'))) return v1(parent, hierarchies)
  if (!unified) throw new Error('no control group hierarchy is mounted')
  return v2(parent, unified.root)
}

/** The hierarchies in a mountinfo (proc_pid_mountinfo(5)); the unified one has no controllers. One mounted twice counts once. */
export function parseMounts(mountinfo: string): Hierarchy[] {
  const found = new Map<string, Hierarchy>()
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ')
    const [type, , superOptions] = after?.split(' ') ?? []
    const root = before?.split(' ')[4]
    if (!root || (type !== 'cgroup' && type !== 'cgroup2')) continue
    const controllers =
      type === 'cgroup2' ? [] : superOptions!.split(',').filter((o) => o !== 'rw' && o !== 'ro' && !/^(xattr|clone_children)$/.test(o))
    const key = controllers.join()
    if (!found.has(key)) found.set(key, { root, controllers })
  }
  return [...found.values()]
}

/** cpu.weight (1..10000) for cpu.shares (2..262144), as the OCI runtimes convert it. */
export const cpuWeight = (shares: number): number => 1 + Math.floor(((Math.min(Math.max(shares, 2), 262_144) - 2) * 9999) / 262_142)

const defaultPeriod = 100_000

function v2(parent: string, root: string): Cgroups {
  const at = (relative: string, file = '') => join(root, below(parent, relative), file)
  const limit = async (relative: string, resources: Resources) => {
    const { cpuShares, cpuQuotaMicros, cpuPeriodMicros = defaultPeriod, memoryBytes, pids } = resources
    await set(at(relative, 'cpu.weight'), cpuShares === undefined ? 100 : cpuWeight(cpuShares), cpuShares !== undefined)
    await set(at(relative, 'cpu.max'), `${cpuQuotaMicros ?? 'max'} ${cpuPeriodMicros}`, cpuQuotaMicros !== undefined)
    await set(at(relative, 'memory.max'), memoryBytes ?? 'max', memoryBytes !== undefined)
    await set(at(relative, 'pids.max'), pids ?? 'max', pids !== undefined)
  }
  return {
    version: 2,
    path: (relative) => below(parent, relative),
    async create(relative, resources) {
      let dir = root
      for (const part of below(parent, relative).split('/').filter(Boolean)) {
        // A controller works in a child only if every ancestor hands it down.
        const available = (await readText(join(dir, 'cgroup.controllers'))).split(/\s+/)
        for (const controller of ['cpuset', 'cpu', 'io', 'memory', 'pids'])
          if (available.includes(controller)) await set(join(dir, 'cgroup.subtree_control'), `+${controller}`, false)
        dir = join(dir, part)
        await mkdir(dir, { recursive: true })
      }
      await limit(relative, resources)
    },
    limit,
    remove: async (relative) => removeTree(at(relative)),
    processes: async (relative) => processesOf(at(relative)),
    async stats(relative) {
      const [cpu, usage, memory] = await Promise.all(['cpu.stat', 'memory.current', 'memory.stat'].map((f) => readText(at(relative, f))))
      if (!cpu && !usage) return undefined
      return memoryStats(field(cpu!, 'usage_usec') * 1000, Number(usage), field(memory!, 'inactive_file'))
    },
    oomKills: async (relative) => field(await readText(at(relative, 'memory.events')), 'oom_kill'),
    limitsSwap: async () => (await readText(at('', 'memory.swap.max'))) !== '',
  }
}

function v1(parent: string, hierarchies: Hierarchy[]): Cgroups {
  const dirOf = (controller: string, relative: string) => {
    const hierarchy = hierarchies.find((h) => h.controllers.includes(controller))
    return hierarchy && join(hierarchy.root, below(parent, relative))
  }
  const limited = ['cpu', 'memory', 'pids']
  const limit = async (relative: string, resources: Resources) => {
    const { cpuShares, cpuQuotaMicros = -1, cpuPeriodMicros = defaultPeriod, memoryBytes, pids } = resources
    const [cpu, memory, tasks] = limited.map((controller) => dirOf(controller, relative))
    if (cpu) {
      await set(join(cpu, 'cpu.shares'), cpuShares ?? 1024, cpuShares !== undefined)
      // Absent where the kernel has no CFS bandwidth control.
      await set(join(cpu, 'cpu.cfs_period_us'), cpuPeriodMicros, cpuQuotaMicros > 0)
      await set(join(cpu, 'cpu.cfs_quota_us'), cpuQuotaMicros, cpuQuotaMicros > 0)
    }
    if (memory) await set(join(memory, 'memory.limit_in_bytes'), memoryBytes ?? -1, memoryBytes !== undefined)
    if (tasks) await set(join(tasks, 'pids.max'), pids ?? 'max', pids !== undefined)
  }
  return {
    version: 1,
    path: (relative) => below(parent, relative),
    async create(relative, resources) {
      const dirs = limited.map((controller) => dirOf(controller, relative)).filter((dir) => dir !== undefined)
      await Promise.all(dirs.map((dir) => mkdir(dir, { recursive: true })))
      await limit(relative, resources)
    },
    limit,
    // In all hierarchies: the runtime made its own in each.
    async remove(relative) {
      await Promise.all(hierarchies.map((h) => removeTree(join(h.root, below(parent, relative)))))
    },
    async processes(relative) {
      const dir = dirOf('memory', relative) ?? dirOf('cpu', relative)
      return dir ? processesOf(dir) : []
    },
    async stats(relative) {
      const [cpu, memory] = [dirOf('cpuacct', relative) ?? '', dirOf('memory', relative) ?? '']
      const files = [join(cpu, 'cpuacct.usage'), join(memory, 'memory.usage_in_bytes'), join(memory, 'memory.stat')]
      const [nanos, usage, stat] = await Promise.all(files.map(readText))
      if (!nanos && !usage) return undefined
      return memoryStats(Number(nanos), Number(usage), field(stat!, 'total_inactive_file'))
    },
    oomKills: async (relative) => field(await readText(join(dirOf('memory', relative) ?? '', 'memory.oom_control')), 'oom_kill'),
    limitsSwap: async () => false,
  }
}

/** The working set as Kubernetes counts it: usage without the file cache that can be dropped first. */
const memoryStats = (cpuNanos: number, usage: number, inactiveFile: number): CgroupStats => ({
  cpuNanos,
  memoryUsageBytes: usage,
  memoryWorkingSetBytes: Math.max(usage - inactiveFile, 0),
})

function below(parent: string, relative: string): string {
  if (relative.split('/').includes('..')) throw new Error(`cgroup ${relative} leaves its parent`)
  return join(parent, relative)
}

/** Writes a control file; unless `required`, a host that lacks the file or the controller does without. */
async function set(file: string, value: string | number, required = true): Promise<void> {
  try {
    await writeFile(file, String(value), { flag: constants.O_WRONLY | constants.O_TRUNC })
  } catch (error) {
    if (required) throw error
  }
}

const readText = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '')

const field = (text: string, name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)

async function processesOf(dir: string): Promise<number[]> {
  const text = await readText(join(dir, 'cgroup.procs'))
  return text.split('\n').filter(Boolean).map(Number)
}

async function removeTree(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(dir, entry.name))
  // A killed process leaves its cgroup a moment after: the kernel has no event for that on v1.
  for (let attempt = 0; ; attempt++) {
    try {
      return await rmdir(dir)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'ENOENT') return
      if (code !== 'EBUSY' || attempt === 100) throw error
    }
    for (const pid of await processesOf(dir)) kill(pid)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function kill(pid: number): void {
  // 0 names a process outside this PID namespace: kill(2) would take it for our own group.
  if (pid <= 0 || pid === process.pid) return
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone already.
  }
}
