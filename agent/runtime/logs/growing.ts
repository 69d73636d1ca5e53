// A file that somebody else appends to and now and then replaces by an empty one (rotation), read as
// it grows. inotify tells of both; the end of the old file is read before the new one is begun.

import { type FSWatcher, watch } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const chunkSize = 64 << 10

export type Growing = {
  /** Where to begin, given the file as it is now. */
  from: (file: FileHandle, size: number) => Promise<number>
  follow: boolean
  /** Resolves when no more will be written: what is there by then is read, then it ends. */
  ended?: Promise<unknown>
  signal?: AbortSignal
  /** Called when a new file is begun. */
  onRotate?: () => void
}

/** Chunks are valid until the next is asked for. Ends quietly when the signal aborts. */
export async function* readGrowing(path: string, { from, follow, ended, signal, onRotate }: Growing): AsyncGenerator<Buffer> {
  const wake = new Wake(signal)
  let watcher: FSWatcher | undefined
  let file: FileHandle | undefined
  try {
    if (follow) {
      // The folder, not the file: a new file of the same name must be noticed too.
      watcher = watch(dirname(path), () => wake.up())
      watcher.on('error', () => wake.up())
    }
    let over = false
    const end = () => {
      over = true
      wake.up()
    }
    ended?.then(end, end)
    file = await open(path, 'r')
    let inode = (await file.stat()).ino
    let position = await from(file, (await file.stat()).size)
    const buffer = Buffer.allocUnsafe(chunkSize)
    for (;;) {
      if (signal?.aborted) return
      // Whatever is written after this look wakes us, so an empty read means that there was nothing.
      const [wasOver, replaced] = [over, follow && (await inodeOf(path)) !== inode]
      wake.reset()
      const { bytesRead } = await file.read(buffer, 0, chunkSize, position)
      if (bytesRead > 0) {
        position += bytesRead
        yield buffer.subarray(0, bytesRead)
        continue
      }
      if (replaced) {
        const next = await open(path, 'r').catch(() => undefined)
        if (next) {
          await file.close()
          file = next
          inode = (await file.stat()).ino
          position = 0
          onRotate?.()
          continue
        }
      }
      if (!follow || wasOver) return
      await wake.wait()
    }
  } finally {
    wake.close()
    watcher?.close()
    await file?.close()
  }
}

const inodeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    (info) => info.ino,
    () => undefined,
  )

/** A bell: rung while nobody waits, it is heard by the next who does, until `reset`. */
class Wake {
  #rung = false
  #resolve: (() => void) | undefined
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => this.up()

  constructor(signal?: AbortSignal) {
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  up(): void {
    this.#rung = true
    this.#resolve?.()
  }

  reset(): void {
    this.#rung = false
  }

  async wait(): Promise<void> {
    if (this.#rung || this.#signal?.aborted) return
    await new Promise<void>((resolve) => {
      this.#resolve = resolve
    })
    this.#resolve = undefined
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}
