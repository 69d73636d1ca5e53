// Names inside a layer: relative, without `.` and `..`, bytes as latin1 text.

import { Malformed } from './malformed.ts'

/** Text where it is plain, bytes where a name is not ASCII. */
export type Path = string | Buffer

/** The canonical relative form; '' is the layer's root. Throws Malformed for a name that could lead outside. */
export function layerPath(name: string): string {
  if (name.startsWith('/')) throw new Malformed(`"${name}": absolute path`)
  if (name.includes('\0')) throw new Malformed(`${JSON.stringify(name)}: broken name`)
  const parts = name.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw new Malformed(`"${name}": path leads outside the layer`)
  return parts.join('/')
}

export const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0))
export const baseOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

/** `a/b/c` → `a`, `a/b`, `a/b/c`. */
export function prefixes(path: string): string[] {
  if (path === '') return []
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** Where `path` is on disk. */
export function under(root: string, path: string): Path {
  const full = path === '' ? root : `${root}/${path}`
  // Latin-1 text as long in UTF-8 as it is in characters is ASCII.
  return Buffer.byteLength(path) === path.length ? full : Buffer.concat([Buffer.from(root), Buffer.from(`/${path}`, 'latin1')])
}
