// What this machine is: asked once when the agent starts. What changes (free memory, free disk) is
// `pressure.ts`.

import { execFile } from 'node:child_process'
import { mkdir, readFile, statfs } from 'node:fs/promises'
import { availableParallelism, release, totalmem } from 'node:os'
import { parseEnv, promisify } from 'node:util'
import type { NodeSystemInfo } from '#api/types/core-v1.gen.ts'

export type Facts = {
  info: NodeSystemInfo
  cpus: number
  memoryBytes: number
  /** Of the file system that the agent's data is on. */
  diskBytes: number
}

/** As `kubectl get nodes` shows it: the Kubernetes that is spoken, and who speaks it. */
const VERSION = 'v1.33.0+coracle-0.1'
const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64', arm: 'arm' }

export async function collectFacts({ dataDir, runtime }: { dataDir: string; runtime: string }): Promise<Facts> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const [os, machineID, systemUUID, bootID, disk, runtimeVersion] = await Promise.all([
    firstOf(osReleases),
    firstOf(machineIDs),
    firstOf([...systemUUIDs, ...machineIDs]),
    firstOf(['/proc/sys/kernel/random/boot_id']),
    statfs(dataDir),
    versionOf(runtime),
  ])
  return {
    info: {
      machineID,
      systemUUID,
      bootID,
      kernelVersion: release(),
      osImage: parseEnv(os)['PRETTY_NAME'] ?? 'Linux',
      containerRuntimeVersion: runtimeVersion,
      kubeletVersion: VERSION,
      kubeProxyVersion: VERSION,
      operatingSystem: 'linux',
      architecture: architectures[process.arch] ?? process.arch,
    },
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    diskBytes: disk.blocks * disk.bsize,
  }
}

// Where cadvisor looks, and a Raspberry Pi's own number besides.
const osReleases = ['/etc/os-release', '/usr/lib/os-release']
const machineIDs = ['/etc/machine-id', '/var/lib/dbus/machine-id']
const systemUUIDs = [
  '/sys/class/dmi/id/product_uuid',
  '/proc/device-tree/system-id',
  '/proc/device-tree/vm,uuid',
  '/proc/device-tree/serial-number',
]

/** What the first of the files says that there are; texts of the device tree end in a zero byte. */
async function firstOf(files: readonly string[]): Promise<string> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    const said = text.replaceAll('\0', '').trim()
    if (said) return said
  }
  return ''
}

/** `runc://1.1.5`, from the first line that runc and crun print: `runc version 1.1.5`. */
async function versionOf(runtime: string): Promise<string> {
  const name = runtime.slice(runtime.lastIndexOf('/') + 1)
  try {
    const { stdout } = await promisify(execFile)(runtime, ['--version'], { timeout: 5_000 })
    return `${name}://${/version (\S+)/.exec(stdout)?.[1] ?? 'unknown'}`
  } catch {
    return `${name}://unknown`
  }
}
