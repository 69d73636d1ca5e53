// The hardware inventory, by a child process that ends; what the last boot's agent was told is kept beside its data.

import { execFile } from 'node:child_process'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Inventory } from './inventory.ts'

/** It takes a second; a disk that does not answer may hold it for ever. */
const WITHIN_MS = 60_000

/** Rejects if the child fails or takes longer than a minute. */
export async function askHardware(signal?: AbortSignal): Promise<Inventory> {
  const program = fileURLToPath(new URL('gather.ts', import.meta.url))
  const args = ['--disable-warning=ExperimentalWarning', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { signal, timeout: WITHIN_MS, killSignal: 'SIGKILL' })
  return JSON.parse(stdout) as Inventory
}

/** As `askHardware`, once in a boot: nothing is asked again by an agent that was only restarted. */
export async function hardwareOfBoot({
  dataDir,
  bootID,
  signal,
}: {
  dataDir: string
  bootID: string
  signal: AbortSignal
}): Promise<Inventory> {
  const file = join(dataDir, 'hardware.json')
  const known = await kept(file)
  if (known && known.bootID !== '' && known.bootID === bootID) return known
  const inventory = await askHardware(signal)
  await writeFile(`${file}.new`, JSON.stringify(inventory), { mode: 0o600 })
  await rename(`${file}.new`, file)
  return inventory
}

/** A record that a power cut left half-written is none. */
async function kept(file: string): Promise<Inventory | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Inventory
  } catch {
    return undefined
  }
}
