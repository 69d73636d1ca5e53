import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { mountsUnder } from './mount-table.ts'

test('mounts under a folder, the latest first, with their names as they are', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'coracle-mounts-'))
  t.after(() => rm(folder, { recursive: true }))
  const table = join(folder, 'mountinfo')
  await writeFile(
    table,
    [
      '22 1 8:1 / / rw - ext4 /dev/sda1 rw',
      '30 22 0:30 / /pods/u1/a\\040b rw - tmpfs tmpfs rw',
      '31 30 0:31 / /pods/u1/a\\040b/in rw - tmpfs tmpfs rw',
      '32 22 0:32 / /pods/u10 rw - tmpfs tmpfs rw',
      '',
    ].join('\n'),
  )
  assert.deepEqual(await mountsUnder('/pods/u1', table), ['/pods/u1/a b/in', '/pods/u1/a b'])
})
