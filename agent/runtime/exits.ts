// The folder where conmon leaves the exit code of every container of this agent, a file each, renamed
// into place. inotify tells of them; a look around now and then finds what it lost (its queue is finite).

import { type FSWatcher, mkdirSync, watch } from 'node:fs'
import { readdir, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

export type Exit = { id: string; code: number; at: Date }

export class ExitDir {
  readonly path: string
  #watcher: FSWatcher | undefined

  constructor(path: string) {
    this.path = path
  }

  /** Calls back with the id of each container whose file appears, at least once. */
  watch(onExit: (id: string) => void, onError: (error: Error) => void): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 })
    this.#watcher = watch(this.path, (_event, name) => {
      // glib writes `<id>.XXXXXX` first.
      if (name && !name.includes('.')) onExit(name)
    })
    this.#watcher.on('error', onError)
  }

  list(): Promise<string[]> {
    return readdir(this.path)
  }

  async read(id: string): Promise<Exit | undefined> {
    const file = join(this.path, id)
    try {
      const [code, info] = await Promise.all([readFile(file, 'utf8'), stat(file)])
      return /^-?\d+$/.test(code.trim()) ? { id, code: Number(code), at: info.mtime } : undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  async forget(id: string): Promise<void> {
    await unlink(join(this.path, id)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }

  close(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}
