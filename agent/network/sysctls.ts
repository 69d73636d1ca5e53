// Kernel settings that are not ours alone: each is remembered as it was before, in a file, until
// restored. What belongs to our own links goes with them and needs no memory.

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { readSysctl, writeSysctl } from 'nft-js'

type Place = { /** The record's path. */ file: string; netns?: string }

const read = async (file: string): Promise<Record<string, string>> => {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

/** Makes settings hold. Idempotent: a value that is already as wanted is neither written nor remembered. */
export const applySysctls = async ({ file, netns }: Place, wanted: Record<string, string>): Promise<void> => {
  const before = await read(file)
  const changes: [string, string][] = []
  for (const [name, value] of Object.entries(wanted)) {
    const current = await readSysctl(name, netns)
    if (current === value) continue
    before[name] = current
    changes.push([name, value])
  }
  if (changes.length === 0) return
  // Remembered first: a crash in between restores a value that was never changed, which is harmless.
  await mkdir(dirname(file), { recursive: true })
  await writeFile(`${file}.new`, JSON.stringify(before))
  await rename(`${file}.new`, file)
  for (const [name, value] of changes) await writeSysctl(name, value, netns)
}

export const restoreSysctls = async ({ file, netns }: Place): Promise<void> => {
  for (const [name, value] of Object.entries(await read(file))) await writeSysctl(name, value, netns)
  await rm(file, { force: true })
}
