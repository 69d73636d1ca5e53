// For tests that touch the kernel's network: a namespace of their own, gone when the test is.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { namespaces } from '../namespaces.ts'

/** Whether this process may make namespaces: `{ skip: needsRoot }` as a test's options. */
export const needsRoot = process.getuid?.() === 0 ? false : 'needs root'

/** Makes a network namespace with `lo` up and returns its path; `nsenter --net=<path>` runs commands in it. `t` is a test's context. */
export const freshNetns = async (t: { after(cleanup: () => Promise<void>): void }): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'netns-'))
  const net = join(folder, 'net')
  t.after(async () => {
    await namespaces.unpin(net)
    await rm(folder, { recursive: true })
  })
  await namespaces.create({ net })
  return net
}
