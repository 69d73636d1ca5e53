// The volumes of this node's disk, each a folder with a file system in a file: an ext4 image, as large as the volume
// may become and as small on the disk as what is in it. A loop device that goes with its mount attaches it, so that
// nothing is left of a volume that is not mounted but its folder.

import { execFile } from 'node:child_process'
import { mkdir, open, readdir, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { moveDurably, syncPath } from '../../durable.ts'
import { exists } from '../mount-table.ts'
import { VolumeError } from '../volume-error.ts'

/** Runs a program of the system, which must end with 0. */
export type RunProgram = (program: string, ...args: string[]) => Promise<string>

const exec = promisify(execFile)
/** Debian keeps these where the PATH of a plain user does not lead. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' }

export async function runProgram(program: string, ...args: string[]): Promise<string> {
  try {
    return (await exec(program, args, { env })).stdout
  } catch (cause) {
    const { code, stderr = '' } = cause as { code?: unknown; stderr?: string }
    if (code === 'ENOENT') throw new VolumeError(`${program} is not installed`, { cause })
    throw new VolumeError(`${program} failed: ${stderr.trim().split('\n').at(-1) || String(code)}`, { cause })
  }
}

/** What ext4 can be made in at all, bytes. */
const smallest = 4 * 2 ** 20
/** Of the file system's own: the size of a volume is a whole number of these. */
const blockBytes = 4096

export type Disk = {
  /** Makes the volume where it is not there yet. Throws VolumeError where it cannot be. Resolves with its size in bytes. */
  make(name: string, bytes: number): Promise<number>
  /** Only of a volume that is mounted nowhere. */
  remove(name: string): Promise<void>
  /** Makes the file larger, and writes down that its file system is to follow. */
  enlarge(name: string, bytes: number): Promise<number>
  /** Whether the file system is smaller than its file. */
  isToGrow(name: string): Promise<boolean>
  /** Its file system is as large as its file now. */
  hasGrown(name: string): Promise<void>
  /** Of a volume that is mounted nowhere, and will not be before this has ended. */
  growUnmounted(name: string): Promise<void>
  /** Bytes that it may hold; undefined: there is none. */
  sizeOf(name: string): Promise<number | undefined>
  list(): Promise<string[]>
  imageOf(name: string): string
}

export function openDisk(dir: string, run: RunProgram = runProgram): Disk {
  // Who may write PersistentVolumes says what a volume is called.
  const folderOf = (name: string) => {
    if (!isName(name)) throw new VolumeError(`volumeHandle ${JSON.stringify(name)} is not a volume of this node`)
    return join(dir, name)
  }
  const imageOf = (name: string) => join(folderOf(name), 'image')
  const sizeOf = async (name: string) =>
    await stat(imageOf(name)).then(
      ({ size }) => size,
      () => undefined,
    )
  /** A disk that is mounted here has folders of its own, `lost+found` for one. */
  const list = async () => (await readdir(dir).catch((): string[] => [])).filter(isName)
  const markOf = (name: string) => join(folderOf(name), 'growing')
  const hasGrown = (name: string) => rm(markOf(name), { force: true })

  /** What is promised to all volumes is there to be had: else one that fills up takes from the others. */
  async function checkRoom(name: string, bytes: number): Promise<void> {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    const { blocks, bsize } = await statfs(dir)
    let promised = bytes
    for (const other of await list()) if (other !== name) promised += (await sizeOf(other)) ?? 0
    if (promised > blocks * bsize) {
      const left = Math.max(0, blocks * bsize - (promised - bytes))
      throw new VolumeError(`not enough storage on this node: ${bytes} bytes were asked for, ${left} are not promised to other volumes`)
    }
  }

  return {
    imageOf,
    sizeOf,
    list,
    async make(name, wanted) {
      const there = await sizeOf(name)
      if (there !== undefined) return there
      const bytes = Math.max(smallest, wholeBlocks(wanted))
      await checkRoom(name, bytes)
      await mkdir(folderOf(name), { recursive: true, mode: 0o700 })
      const made = `${imageOf(name)}.new`
      await rm(made, { force: true })
      await setSize(made, bytes)
      await run('mkfs.ext4', '-q', '-F', '-m', '0', '-E', 'nodiscard,lazy_itable_init=1,lazy_journal_init=1', made)
      await syncPath(made)
      await moveDurably(made, imageOf(name))
      await syncPath(dir)
      return bytes
    },
    async remove(name) {
      if (!isName(name)) return
      await rm(folderOf(name), { recursive: true, force: true })
      if (await exists(dir)) await syncPath(dir)
    },
    async enlarge(name, wanted) {
      const there = (await sizeOf(name)) ?? 0
      const bytes = wholeBlocks(wanted)
      if (bytes <= there) return there
      await checkRoom(name, bytes)
      await writeFile(markOf(name), '')
      await syncPath(folderOf(name))
      await setSize(imageOf(name), bytes)
      await syncPath(imageOf(name))
      return bytes
    },
    isToGrow: (name) => exists(markOf(name)),
    hasGrown,
    async growUnmounted(name) {
      // 1: something was mended, as after a power cut.
      await run('sh', '-c', 'e2fsck -f -p "$1" >/dev/null || test $? -eq 1', 'sh', imageOf(name))
      await run('resize2fs', imageOf(name))
      await hasGrown(name)
    },
  }
}

/** One folder's name, never a path. */
const isName = (name: string): boolean => /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name)

const wholeBlocks = (bytes: number): number => Math.ceil(bytes / blockBytes) * blockBytes

/** A hole takes no place. */
async function setSize(path: string, bytes: number): Promise<void> {
  await using file = await open(path, 'a', 0o600)
  await file.truncate(bytes)
}
