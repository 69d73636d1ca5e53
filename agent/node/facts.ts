// What this machine is: asked once when the agent starts. What changes (free memory, free disk) is
// `pressure.ts`.

import { execFile } from 'node:child_process'
import { mkdir, readFile, statfs } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { promisify } from 'node:util'
import systeminformation from 'systeminformation'
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
  await mkdir(dataDir, { recursive: true })
  const [os, ids, bootID, disk, runtimeVersion] = await Promise.all([
    systeminformation.osInfo(),
    systeminformation.uuid(),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    statfs(dataDir),
    versionOf(runtime),
  ])
  return {
    info: {
      machineID: ids.os,
      systemUUID: ids.hardware || ids.os,
      bootID: bootID.trim(),
      kernelVersion: os.kernel,
      osImage: [os.distro, os.release, os.codename && `(${os.codename})`].filter(Boolean).join(' '),
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
