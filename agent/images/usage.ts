// What may not be deleted: layers that running containers have mounted, whoever started them, and what this
// process holds.

import { readFile } from 'node:fs/promises'

/** Names of layer folders found in the host's overlay mounts: true across restarts and for every process. */
export async function mountedLayers(): Promise<Set<string>> {
  const found = new Set<string>()
  for (const line of (await readFile('/proc/self/mountinfo', 'latin1')).split('\n')) {
    if (!line.includes(' - overlay ')) continue
    for (const [name] of line.matchAll(/(?<=[=:/])[0-9a-f]{32}(?=\/)/g)) found.add(name)
  }
  return found
}

type Content = { blobs: readonly string[]; layers: readonly string[] }

export class Holds {
  #counts = new Map<string, number>()
  #lastUsed = new Map<string, number>()
  /** What each image consists of, as last seen: its name may go while it is held. */
  #content = new Map<string, Content>()
  #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  /** It is worth something to somebody now. */
  touch(id: string): void {
    this.#lastUsed.set(id, this.#now())
  }

  saw(id: string, content: Content): void {
    this.#content.set(id, content)
  }

  /** Content of the images that are held. */
  *content(): Generator<Content> {
    for (const id of this.#counts.keys()) {
      const content = this.#content.get(id)
      if (content) yield content
    }
  }

  hold(id: string): () => void {
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1)
    this.touch(id)
    let held = true
    return () => {
      if (!held) return
      held = false
      const left = (this.#counts.get(id) ?? 1) - 1
      if (left > 0) this.#counts.set(id, left)
      else this.#counts.delete(id)
      this.touch(id)
    }
  }

  has(id: string): boolean {
    return this.#counts.has(id)
  }

  /** Monotonic milliseconds; undefined if not since this process started. */
  lastUsed(id: string): number | undefined {
    return this.#lastUsed.get(id)
  }
}
