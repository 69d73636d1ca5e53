// Reading files of an image that nobody vouches for: every symlink is resolved inside its root, as
// the container itself would see it, so that /etc/passwd cannot point at the host's. Only for a
// root that nothing is changing meanwhile, i.e. before the container starts.

import { constants } from 'node:fs'
import { lstat, open, readlink } from 'node:fs/promises'
import { join } from 'node:path'

const longestChain = 40

/** Where `path` lies on the host, or undefined if a part of it is missing. Throws on symlink loops. */
export async function resolveIn(root: string, path: string): Promise<string | undefined> {
  const todo = path.split('/').filter(Boolean)
  const done: string[] = []
  let links = 0
  while (todo.length > 0) {
    const part = todo.shift()!
    if (part === '.') continue
    if (part === '..') {
      done.pop()
      continue
    }
    const here = join(root, ...done, part)
    const stat = await lstat(here).catch(() => undefined)
    if (!stat) return undefined
    if (stat.isSymbolicLink()) {
      if (++links > longestChain) throw new Error(`too many symbolic links in ${path}`)
      const target = await readlink(here)
      if (target.startsWith('/')) done.length = 0
      todo.unshift(...target.split('/').filter(Boolean))
    } else {
      done.push(part)
    }
  }
  return join(root, ...done)
}

/** The text of a regular file of at most `limit` bytes; '' if there is none. */
export async function readIn(root: string, path: string, limit = 1 << 20): Promise<string> {
  const real = await resolveIn(root, path)
  if (!real) return ''
  // Non-blocking: a FIFO in place of the file must not hold us.
  const file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined)
  if (!file) return ''
  try {
    const stat = await file.stat()
    if (!stat.isFile() || stat.size > limit) return ''
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
