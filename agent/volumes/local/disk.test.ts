import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDisk } from './disk.ts'

test('what else is on the disk is no volume', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-disk-'))
  t.after(() => rmSync(dir, { recursive: true }))
  mkdirSync(join(dir, 'lost+found'))
  const disk = openDisk(dir, () => Promise.resolve(''))
  assert.equal(await disk.make('pvc-1', 4 << 20), 4 << 20)
  assert.deepEqual(await disk.list(), ['pvc-1'])
})

test('a volumeHandle leads nowhere but to a volume, whoever wrote it', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-disk-'))
  t.after(() => rmSync(dir, { recursive: true }))
  for (const name of ['precious', 'local/pvc-1']) mkdirSync(join(dir, name), { recursive: true })
  for (const path of ['precious/image', 'local/pvc-1/image']) writeFileSync(join(dir, path), 'words')
  const disk = openDisk(join(dir, 'local'), () => Promise.reject(new Error('nothing is run')))
  for (const handle of ['../precious', '..', '.', '', '/', 'pvc-1/../../precious', 'a/b', '..\0', join(dir, 'precious')]) {
    await disk.remove(handle)
    await assert.rejects(disk.sizeOf(handle), { name: 'VolumeError', message: /is not a volume of this node/ }, handle)
    await assert.rejects(disk.make(handle, 1), { name: 'VolumeError' }, handle)
    await assert.rejects(disk.enlarge(handle, 1), { name: 'VolumeError' }, handle)
    assert.throws(() => disk.imageOf(handle), { name: 'VolumeError' }, handle)
  }
  assert.ok(existsSync(join(dir, 'precious/image')))
  await disk.remove('pvc-1')
  assert.ok(!existsSync(join(dir, 'local/pvc-1')))
})
