// Unpacks one layer's tar into a folder of its own, trusting nothing in it: every name stays below the
// folder, nothing is written through a link, and sizes are bounded. Whiteouts, and directories that the
// archive does not list, depend on the layers below and are left to finish-layer.ts.

import type { FileHandle } from 'node:fs/promises'
import { chmod, chown, lchown, link, lstat, lutimes, mkdir, open, rm, symlink, unlink } from 'node:fs/promises'
import { baseOf, layerPath, type Path, parentOf, prefixes, under } from './layer-path.ts'
import { codeOf, Malformed } from './malformed.ts'
import type { Source } from './source.ts'
import { makeFifo, setAttribute } from './special.ts'
import { readTar, type TarEntry } from './tar.ts'

export type Unpacked = {
  /** Bytes of file content. */
  size: number
  /** Directories made only because something in them is listed; their owner and mode are those of the layers below. */
  implicit: string[]
  /** Paths of lower layers that this layer deletes. */
  whiteouts: string[]
  /** Directories that hide all that lower layers have in them. */
  opaque: string[]
}

export type UnpackLimits = { bytes: number; entries: number }

type Deps = { limits: UnpackLimits; signal?: AbortSignal }

/** Files up to this size are written in the background, several at a time. */
const smallFile = 1 << 18
const writers = 8
const mostId = 0xffff_fffe
/** What ext4 can keep, in seconds. */
const latestTime = 2 ** 33

/** Throws Malformed; system errors (no space, ...) pass. On failure nothing writes to `root` any more. */
export async function unpack(source: Source, root: string, deps: Deps): Promise<Unpacked> {
  const layer = new Unpacker(root, deps)
  try {
    for await (const entry of readTar(source)) await layer.add(entry)
    return await layer.finish()
  } catch (error) {
    await layer.idle()
    if (codeOf(error) === 'ENAMETOOLONG') throw new Malformed('a path is too long', { cause: error })
    throw error
  }
}

class Unpacker {
  #root: string
  #deps: Deps
  #size = 0
  #entries = 0
  #directories = new Set<string>([''])
  #implicit = new Set<string>([''])
  #mtimes = new Map<string, number>()
  #whiteouts = new Set<string>()
  #opaque = new Set<string>()
  #writing = new Map<string, Promise<void>>()
  #failure: { error: unknown } | undefined

  constructor(root: string, deps: Deps) {
    this.#root = root
    this.#deps = deps
  }

  async add(entry: TarEntry): Promise<void> {
    this.#deps.signal?.throwIfAborted()
    if (this.#failure) throw this.#failure.error
    entry.mtime = Math.min(Math.max(entry.mtime, 0), latestTime)
    if (++this.#entries > this.#deps.limits.entries) throw new Malformed(`more than ${this.#deps.limits.entries} entries`)
    if (entry.uid > mostId || entry.gid > mostId) throw new Malformed(`"${entry.name}": owner out of range`)
    const path = layerPath(entry.name)
    if (path === '') {
      if (entry.type === 'directory') await this.#directory('', entry)
      return
    }
    await this.#parents(path)
    if (baseOf(path).startsWith('.wh.')) return this.#whiteout(path)
    await this.#writing.get(path)
    if (entry.type !== 'directory' && this.#directories.has(path)) await this.#dropDirectory(path)
    switch (entry.type) {
      case 'directory':
        return this.#directory(path, entry)
      case 'file':
        return this.#file(path, entry)
      case 'symlink':
        if (entry.linkName === '') throw new Malformed(`"${entry.name}": link to nothing`)
        await this.#place(path, (at) => symlink(Buffer.from(entry.linkName, 'latin1'), at))
        return this.#own(path, entry)
      case 'hardlink':
        return this.#hardlink(path, entry)
      case 'fifo':
        await this.#place(path, () => makeFifo(this.#root, path))
        return this.#own(path, entry)
      case 'char':
      case 'block':
        // The runtime mounts a container's devices; nodes elsewhere in a layer would only be holes in that.
        return
      case 'unknown':
        throw new Malformed(`"${entry.name}": unknown kind of entry`)
    }
  }

  /** Times last: writing into a directory changes its own. */
  async finish(): Promise<Unpacked> {
    await this.idle()
    if (this.#failure) throw this.#failure.error
    for (const [path, mtime] of this.#mtimes) await lutimes(under(this.#root, path), mtime, mtime)
    return {
      size: this.#size,
      implicit: [...this.#implicit].sort(),
      whiteouts: [...this.#whiteouts],
      opaque: [...this.#opaque],
    }
  }

  async idle(): Promise<void> {
    await Promise.allSettled(this.#writing.values())
  }

  async #parents(path: string): Promise<void> {
    const parent = parentOf(path)
    if (this.#directories.has(parent)) return
    for (const prefix of prefixes(parent)) {
      if (this.#directories.has(prefix)) continue
      await this.#writing.get(prefix)
      const at = under(this.#root, prefix)
      const found = await lstat(at).catch(ignore('ENOENT'))
      if (found) throw new Malformed(`"${path}" leads through "${prefix}", which is not a directory`)
      await mkdir(at)
      await chmod(at, 0o755)
      this.#directories.add(prefix)
      this.#implicit.add(prefix)
    }
  }

  async #directory(path: string, entry: TarEntry): Promise<void> {
    const at = under(this.#root, path)
    if (!this.#directories.has(path)) {
      await this.#place(path, (at) => mkdir(at))
      this.#directories.add(path)
    }
    this.#implicit.delete(path)
    await chown(at, entry.uid, entry.gid)
    await chmod(at, entry.mode)
    await this.#attributes(path, entry)
    this.#mtimes.set(path, entry.mtime)
  }

  async #file(path: string, entry: TarEntry): Promise<void> {
    this.#size += entry.size
    if (this.#size > this.#deps.limits.bytes) throw new Malformed(`unpacks to more than ${this.#deps.limits.bytes} bytes`)
    if (entry.size > smallFile) return this.#write(path, entry, entry.body())
    const content: Buffer[] = []
    for await (const part of entry.body()) content.push(part)
    if (this.#writing.size >= writers) await Promise.race(this.#writing.values())
    const writing = this.#write(path, entry, content)
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => this.#writing.delete(path))
    this.#writing.set(path, writing)
  }

  async #write(path: string, entry: TarEntry, content: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<void> {
    let opened: FileHandle | undefined
    await this.#place(path, async (at) => {
      opened = await open(at, 'wx', 0o600)
    })
    await using file = opened!
    for await (const part of content) {
      this.#deps.signal?.throwIfAborted()
      await file.writeFile(part)
    }
    if (entry.uid !== 0 || entry.gid !== 0) await file.chown(entry.uid, entry.gid)
    await file.chmod(entry.mode)
    await this.#attributes(path, entry)
    await file.utimes(entry.mtime, entry.mtime)
  }

  async #hardlink(path: string, entry: TarEntry): Promise<void> {
    const target = layerPath(entry.linkName)
    for (const prefix of prefixes(parentOf(target))) {
      if (!this.#directories.has(prefix)) throw new Malformed(`"${entry.name}": hard link to "${entry.linkName}", which is not there`)
    }
    await this.#writing.get(target)
    const at = under(this.#root, target)
    const found = await lstat(at).catch(ignore('ENOENT'))
    if (!found || found.isDirectory()) throw new Malformed(`"${entry.name}": hard link to "${entry.linkName}", which is not there`)
    if (target !== path) await this.#place(path, (to) => link(at, to))
  }

  #whiteout(path: string): void {
    const base = baseOf(path)
    const parent = parentOf(path)
    if (base === '.wh..wh..opq') {
      this.#opaque.add(parent)
      return
    }
    if (base.startsWith('.wh..wh.')) return
    const name = base.slice('.wh.'.length)
    if (name === '' || name === '.' || name === '..') throw new Malformed(`"${path}": whiteout of nothing`)
    this.#whiteouts.add(parent === '' ? name : `${parent}/${name}`)
  }

  /** Creates at `path`; a file that an earlier entry put there gives way. */
  async #place(path: string, create: (at: Path) => Promise<unknown>): Promise<void> {
    const at = under(this.#root, path)
    try {
      await create(at)
      return
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    await unlink(at)
    await create(at)
  }

  async #dropDirectory(path: string): Promise<void> {
    await this.idle()
    await rm(under(this.#root, path), { recursive: true })
    const below = (other: string) => other === path || other.startsWith(`${path}/`)
    for (const set of [this.#directories, this.#implicit]) for (const other of set) if (below(other)) set.delete(other)
    for (const other of this.#mtimes.keys()) if (below(other)) this.#mtimes.delete(other)
  }

  /** Owner and times of what must not be followed. */
  async #own(path: string, entry: TarEntry): Promise<void> {
    const at = under(this.#root, path)
    await lchown(at, entry.uid, entry.gid)
    if (entry.type === 'fifo') await chmod(at, entry.mode)
    await lutimes(at, entry.mtime, entry.mtime)
  }

  /** Only what a container may own: `trusted.overlay.*` would redirect the mount, `security.selinux` is the host's. */
  async #attributes(path: string, entry: TarEntry): Promise<void> {
    for (const [name, value] of entry.xattrs) {
      if (name !== 'security.capability' && (!name.startsWith('user.') || name.startsWith('user.overlay.'))) continue
      await setAttribute(this.#root, path, name, value)
    }
  }
}

const ignore = (code: string) => (error: unknown) => {
  if (codeOf(error) !== code) throw error
  return undefined
}
