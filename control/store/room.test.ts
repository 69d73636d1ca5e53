import assert from 'node:assert/strict'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silent } from '#api/log.ts'
import { Room } from './room.ts'

const MiB = 1 << 20

/** A folder in which no more than `quota.left` bytes more can be written, and what is deleted gives nothing back, while the disk says that it has room. */
async function room(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-room-'))
  t.after(() => rm(dir, { recursive: true }))
  const quota = { left: Number.POSITIVE_INFINITY, errno: -122, written: 0 }
  await using any = await open(join(dir, 'any'), 'w')
  const prototype = Object.getPrototypeOf(any) as {
    write(buffer: Buffer, offset: number, length: number): Promise<{ bytesWritten: number }>
  }
  const { write } = prototype
  t.mock.method(prototype, 'write', async function refuse(this: typeof prototype, buffer: Buffer, offset: number, length: number) {
    if (length > quota.left) throw Object.assign(new Error('refused'), { errno: quota.errno })
    quota.left -= length
    quota.written += length
    return await write.call(this, buffer, offset, length)
  })
  return { dir, quota, room: new Room({ dir, log: silent }) }
}

for (const [code, errno] of [
  ['EDQUOT', -122],
  ['ENOSPC', -28],
] as const) {
  test(`a disk whose free blocks are not to be had (${code}) is full, and is well once they are`, async (t) => {
    const { dir, quota, room: it } = await room(t)
    assert.equal(await it.shortage(), undefined)
    await it.kept()
    assert.ok((await readdir(dir)).includes('reserve'))
    quota.errno = errno
    quota.left = 2 * MiB
    // Nobody looks for it as long as writes succeed.
    assert.equal(await it.shortage(), undefined)
    it.doubt()
    const short = await it.shortage()
    assert.match(
      short?.message ?? '',
      new RegExp(
        `^disk quota exceeded on the disk of ${dir}: [\\d.]+ MiB are left, 36.0 MiB are needed; until then only deletions are written$`,
      ),
    )
    assert.equal(short?.deletions, true)
    assert.deepEqual((await readdir(dir)).sort(), ['any'], 'neither the reserve nor what was tried is left')
    // It is not tried out at every look: that would wear the disk out.
    quota.left = 8 * MiB
    quota.written = 0
    for (let look = 0; look < 64; look += 1) assert.ok(await it.shortage())
    assert.ok(quota.written <= 8 * MiB, `${quota.written} bytes were written`)
    quota.left = Number.POSITIVE_INFINITY
    let looks = 0
    while (await it.shortage()) looks += 1
    assert.ok(looks <= 8, `${looks} looks`)
    await it.kept()
    assert.ok((await readdir(dir)).includes('reserve'))
  })
}

test('a write that failed for another reason leaves the disk as good as it was', async (t) => {
  const { quota, room: it } = await room(t)
  assert.equal(await it.shortage(), undefined)
  await it.kept()
  it.doubt()
  quota.errno = -5
  quota.left = 0
  assert.equal(await it.shortage(), undefined)
  quota.left = Number.POSITIVE_INFINITY
  it.doubt()
  assert.equal(await it.shortage(), undefined)
})

test('where not even the reserve may be written, that is said at once', async (t) => {
  const { quota, room: it } = await room(t)
  quota.left = 3 * MiB
  // The disk has plenty, so nobody waits for the reserve: the next look knows.
  await it.shortage()
  await it.kept()
  assert.match((await it.shortage())?.message ?? '', /^disk quota exceeded/)
})
