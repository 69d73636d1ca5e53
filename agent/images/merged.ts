// The merged view of unpacked layers, read without mounting them: what overlayfs would show at a path.

import type { Stats } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import { prefixes, under } from './layer-path.ts'
import { codeOf } from './malformed.ts'

export type MergedLayer = { root: string; whiteouts: ReadonlySet<string>; opaque: ReadonlySet<string> }

type Found = { stats: Stats; root: string }

/** What `layers` (lowest first) show at `path`; links on the way are not followed. */
export async function lookup(layers: readonly MergedLayer[], path: string): Promise<Found | undefined> {
  const directories = new Set<string>()
  for (const layer of layers.toReversed()) {
    let last = false
    for (const prefix of ['', ...prefixes(path)]) {
      if (layer.whiteouts.has(prefix)) return undefined
      const stats = await lstat(under(layer.root, prefix)).catch(absent)
      if (!stats) break
      // A file below what is a directory above is hidden by it, with all that is further down.
      if (!stats.isDirectory() && directories.has(prefix)) return undefined
      if (prefix === path) return { stats, root: layer.root }
      if (!stats.isDirectory()) return undefined
      directories.add(prefix)
      if (layer.opaque.has(prefix)) last = true
    }
    if (last) return undefined
  }
  return undefined
}

const mostLinks = 40

/** `path` with every symbolic link followed inside the layers, as a process with this root would; undefined if it leads through a file or in a circle. */
export async function follow(layers: readonly MergedLayer[], path: string): Promise<string | undefined> {
  const todo = path.split('/')
  let current: string[] = []
  for (let links = 0; todo.length > 0; ) {
    const part = todo.shift()!
    if (part === '' || part === '.') continue
    if (part === '..') {
      current.pop()
      continue
    }
    const next = [...current, part].join('/')
    const found = await lookup(layers, next)
    if (found?.stats.isSymbolicLink()) {
      if (++links > mostLinks) return undefined
      const text = (await readlink(under(found.root, next), 'buffer')).toString('latin1')
      if (text.startsWith('/')) current = []
      todo.unshift(...text.split('/'))
    } else if (found && !found.stats.isDirectory()) return undefined
    else current.push(part)
  }
  return current.join('/')
}

export function absent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR') throw error
}
