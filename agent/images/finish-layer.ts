// The last step of a layer: what depends on the layers below it. Overlayfs shows the topmost directory's
// owner and mode, so a directory that the archive did not list takes them from below; a path that leads
// through a link of a lower layer (`lib -> usr/lib`) goes where the link does; deletions become whiteouts.

import { chmod, chown, lstat, lutimes, mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises'
import { parentOf, prefixes, under } from './layer-path.ts'
import { absent, follow, lookup, type MergedLayer } from './merged.ts'
import { makeWhiteout, setAttribute } from './special.ts'
import type { Unpacked } from './unpack.ts'

/** Finishes the layer unpacked at `root` above `lowers` (lowest first); returns what it hides of them. */
export async function finishLayer(
  root: string,
  unpacked: Unpacked,
  lowers: readonly MergedLayer[],
): Promise<{ whiteouts: string[]; opaque: string[] }> {
  const moves: { from: string; to: string }[] = []
  const moved = (path: string) => {
    for (const { from, to } of moves) if (path === from || path.startsWith(`${from}/`)) path = to + path.slice(from.length)
    return path
  }
  for (const listed of unpacked.implicit) {
    const path = moved(listed)
    const below = await lookup(lowers, path)
    if (!below) continue
    if (below.stats.isDirectory()) await adopt(root, path, lowers)
    else if (below.stats.isSymbolicLink()) {
      const to = await follow(lowers, path)
      if (!to || to === path || to.startsWith(`${path}/`) || !(await directories(root, parentOf(to), lowers))) continue
      await merge(root, path, to)
      await adopt(root, to, lowers)
      moves.push({ from: path, to })
    }
  }
  const opaque = new Set(unpacked.opaque.map(moved))
  const whiteouts: string[] = []
  for (const path of new Set(unpacked.whiteouts.map(moved))) {
    const own = await lstat(under(root, path)).catch(absent)
    // A layer's own entries stay, whatever it deletes; a directory of its own then starts empty.
    if (own?.isDirectory()) opaque.add(path)
    if (own || !(await lookup(lowers, path))) continue
    await makeWhiteout(root, path)
    whiteouts.push(path)
  }
  for (const path of opaque) {
    const own = await lstat(under(root, path)).catch(absent)
    if (!own?.isDirectory() || !(await lookup(lowers, path))) opaque.delete(path)
    else await setAttribute(root, path, 'trusted.overlay.opaque', Buffer.from('y'))
  }
  return { whiteouts, opaque: [...opaque] }
}

/** Makes the directories up to `path`, as below; false if something else is in the way. */
async function directories(root: string, path: string, lowers: readonly MergedLayer[]): Promise<boolean> {
  for (const prefix of prefixes(path)) {
    const own = await lstat(under(root, prefix)).catch(absent)
    if (own && !own.isDirectory()) return false
    if (own) continue
    await mkdir(under(root, prefix))
    await chmod(under(root, prefix), 0o755)
    await adopt(root, prefix, lowers)
  }
  return true
}

async function adopt(root: string, path: string, lowers: readonly MergedLayer[]): Promise<void> {
  const stats = (await lookup(lowers, path))?.stats
  if (!stats?.isDirectory()) return
  const at = under(root, path)
  await chown(at, stats.uid, stats.gid)
  await chmod(at, stats.mode & 0o7777)
  await lutimes(at, stats.mtimeMs / 1000, stats.mtimeMs / 1000)
}

/** Moves `from` to `to`, joining directories that are on both sides. */
async function merge(root: string, from: string, to: string): Promise<void> {
  const target = await lstat(under(root, to)).catch(absent)
  const source = await lstat(under(root, from))
  if (target?.isDirectory() && source.isDirectory()) {
    for (const name of await readdir(under(root, from), 'buffer')) {
      const child = name.toString('latin1')
      await merge(root, `${from}/${child}`, `${to}/${child}`)
    }
    await rmdir(under(root, from))
    return
  }
  if (target) await rm(under(root, to), { recursive: true })
  await rename(under(root, from), under(root, to))
}
