// The folder of a container is the record of it: `state.json`, replaced atomically at every step, and
// beside it the runtime's bundle and the monitor's files. A record that cannot be read was never
// started (or is lost to a power cut, and its process with it).

import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerState } from './runtime.ts'

export type ContainerRecord = ContainerState & {
  /** Tells the process from a later one with the same pid: boot and start time. */
  identity?: string
}

export const filesOf = (dir: string) => ({
  state: join(dir, 'state.json'),
  config: join(dir, 'config.json'),
  rootfs: join(dir, 'rootfs'),
  /** Written by conmon, like the rest below. */
  conmonPid: join(dir, 'conmon.pid'),
  control: join(dir, 'ctl'),
  oom: join(dir, 'oom'),
})

export async function writeRecord(dir: string, record: ContainerRecord): Promise<void> {
  const { state } = filesOf(dir)
  await writeFile(`${state}.new`, JSON.stringify(record), { mode: 0o600 })
  await rename(`${state}.new`, state)
}

export async function readRecord(dir: string): Promise<ContainerRecord | undefined> {
  try {
    const record = JSON.parse(await readFile(filesOf(dir).state, 'utf8')) as ContainerRecord
    return typeof record.id === 'string' && record.spec ? record : undefined
  } catch {
    return undefined
  }
}
