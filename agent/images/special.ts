// What Node's file system lacks and layers need: device nodes, named pipes and extended attributes, by
// the addon. It takes paths as text; a name that is not UTF-8 is reached through a second name beside the layer.

import { link, rename, unlink } from 'node:fs/promises'
import { makeNode, setXattr } from 'nft-js'
import { under } from './layer-path.ts'
import { codeOf } from './malformed.ts'

const S_IFIFO = 0o010000
const S_IFCHR = 0o020000

/** Overlayfs's mark for a path deleted from the layers below: a character device 0/0. Throws SysError. */
export const makeWhiteout = (root: string, path: string): Promise<void> => make(root, path, S_IFCHR)

/** A named pipe. Throws SysError, EEXIST if something is there. */
export const makeFifo = (root: string, path: string): Promise<void> => make(root, path, S_IFIFO | 0o600)

async function make(root: string, path: string, mode: number): Promise<void> {
  const at = under(root, path)
  if (typeof at === 'string') return makeNode(at, mode)
  const beside = besideOf(root)
  makeNode(beside, mode)
  await rename(beside, at)
}

/** Sets it on the path itself. Where the file system keeps no such attributes, nothing happens. Throws SysError. */
export async function setAttribute(root: string, path: string, name: string, value: Buffer): Promise<void> {
  const at = under(root, path)
  const beside = besideOf(root)
  try {
    if (typeof at === 'string') return setXattr(at, name, value)
    await link(at, beside)
    try {
      setXattr(beside, name, value)
    } finally {
      await unlink(beside)
    }
  } catch (error) {
    // EPERM: a directory has no second name.
    if (codeOf(error) !== 'ENOTSUP' && !(codeOf(error) === 'EPERM' && typeof at !== 'string')) throw error
  }
}

let next = 0
const besideOf = (root: string) => `${root}.${next++}`
