// What is mounted where, from the kernel's own table (proc(5), mountinfo).

import { lstat, readFile } from 'node:fs/promises'

/** Mount points at or under `folder`, innermost and latest first: the order to unmount them in. */
export async function mountsUnder(folder: string, table = '/proc/self/mountinfo'): Promise<string[]> {
  const text = await readFile(table, 'utf8')
  const found: string[] = []
  for (const line of text.split('\n')) {
    const target = line.split(' ', 5)[4]
    if (target === undefined) continue
    const path = unescape(target)
    if (path === folder || path.startsWith(`${folder}/`)) found.push(path)
  }
  return found.reverse()
}

/** Blank, tab, newline and backslash are written as octal. */
const unescape = (path: string): string =>
  path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

export const exists = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  )
