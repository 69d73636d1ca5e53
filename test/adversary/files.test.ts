// What other users of the host can read of a server: nothing, whoever made its folders.

import assert from 'node:assert/strict'
import { chmod, lstat, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startControlPlane } from '../cluster/control-plane.ts'

test('a server closes its folder at its start, and what it makes in it later', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-open-'))
  const folder = join(dir, 'server')
  await mkdir(join(folder, 'pki'), { recursive: true, mode: 0o755 })
  for (const each of [dir, folder, join(folder, 'pki')]) await chmod(each, 0o777)
  await writeFile(join(folder, 'pki', 'left-by-somebody'), 'a secret', { mode: 0o666 })
  await using plane = await startControlPlane({ dir, slot: 0 })
  assert.equal(plane.plan.server.dir, folder)
  const open: string[] = []
  for (const entry of ['', ...(await readdir(folder, { recursive: true }))]) {
    // The record of the process that runs it is the test's own.
    if (entry === 'server.pid') continue
    const facts = await lstat(join(folder, entry))
    if ((facts.mode & 0o077) !== 0) open.push(`${entry} ${(facts.mode & 0o777).toString(8)}`)
  }
  assert.deepEqual(open, [])
})
