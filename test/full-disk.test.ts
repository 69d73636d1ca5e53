import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, rmdir, statfs, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { silent } from '#api/log.ts'
import { live } from '#control/server/testing/live.fake.ts'
import { openLevelStore } from '#control/store/level.ts'
import type { Store } from '#control/store/store.ts'

const skip = process.getuid?.() !== 0 && 'needs root'
const maps = '/api/v1/namespaces/default/configmaps'
const big = (name: string) => ({ metadata: { name }, data: { x: randomBytes(600_000).toString('base64') } })

async function smallDisk(t: TestContext): Promise<string> {
  const disk = await mkdtemp(join(tmpdir(), 'coracle-disk-'))
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk])
  t.after(async () => {
    execFileSync('/bin/umount', ['-l', disk])
    await rmdir(disk)
  })
  return disk
}

/** Fills what is left, to the last byte. */
async function fill(disk: string): Promise<string> {
  const file = join(disk, 'ballast')
  for (const size of [1 << 20, 1 << 14, 1 << 12]) {
    for (;;) {
      try {
        await writeFile(file, Buffer.alloc(size), { flag: 'a' })
      } catch {
        break
      }
    }
  }
  assert.equal((await statfs(disk)).bavail, 0)
  return file
}

const well = async (store: Store) => {
  while (store.trouble) await setTimeout(50)
}

test('on a full disk what is there is read, deletions free it, and writes go on after them', { skip }, async (t) => {
  const disk = await smallDisk(t)
  const store = await openLevelStore({ dir: join(disk, 'db'), log: silent })
  await using server = await live({ store })
  t.after(() => store.close())
  const answers: number[] = []
  let refusal = ''
  for (let i = 0; i < 60; i += 1) {
    const { code, body } = await server.ask('POST', maps, { body: big(`m${i}`) })
    answers.push(code)
    if (code !== 201) refusal = body.message
  }
  const written = answers.filter((code) => code === 201).length
  assert.ok(written > 5 && written < 60, `${written} were written`)
  assert.deepEqual([...new Set(answers)], [201, 503])
  assert.match(refusal, /cannot be written: no space left on the disk of \S+\/db: [\d.]+ [KM]iB are free, [\d.]+ MiB are needed/)
  const list = async () => (await server.ask('GET', maps)).body.items.length
  assert.equal(await list(), written)
  assert.equal((await server.ask('GET', '/readyz')).code, 500)
  assert.equal((await server.ask('GET', '/api/v1/namespaces/default')).code, 200)
  for (let i = 0; i < 60; i += 1) if (answers[i] === 201) assert.equal((await server.ask('DELETE', `${maps}/m${i}`)).code, 200)
  assert.equal(await list(), 0)
  await well(store)
  assert.equal((await server.ask('GET', '/readyz')).text, 'ok')
  assert.equal((await server.ask('POST', maps, { body: big('again') })).code, 201)
})

/** A folder of a large disk that may hold 48 MiB, also for root; the limit can be changed. */
async function smallShare(t: TestContext): Promise<{ share: string; limit(size: string): void }> {
  const disk = await mkdtemp(join(tmpdir(), 'coracle-disk-'))
  const image = `${disk}.img`
  const run = (...command: string[]) => execFileSync(command[0] as string, command.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] })
  run('truncate', '-s', '512M', image)
  run('mkfs.btrfs', '-q', image)
  run('mount', '-o', 'loop', image, disk)
  t.after(async () => {
    run('umount', '-l', disk)
    await rmdir(disk)
    await rm(image)
  })
  const share = join(disk, 'share')
  const limit = (size: string) => run('btrfs', 'qgroup', 'limit', size, share)
  run('btrfs', 'subvolume', 'create', share)
  run('btrfs', 'quota', 'enable', disk)
  limit('48M')
  return { share, limit }
}

const hasBtrfs = readFileSync('/proc/filesystems', 'utf8').includes('btrfs')
test('what a quota refuses is a full disk, too', { skip: skip || (!hasBtrfs && 'needs btrfs') }, async (t) => {
  const { share, limit } = await smallShare(t)
  const store = await openLevelStore({ dir: join(share, 'db'), log: silent })
  await using server = await live({ store })
  t.after(() => store.close())
  const written: string[] = []
  let refusal = ''
  for (let i = 0; i < 60 && !refusal; i += 1) {
    const { code, body } = await server.ask('POST', maps, { body: big(`m${i}`) })
    if (code === 201) written.push(`m${i}`)
    else refusal = body.message
  }
  assert.match(refusal, /cannot be written: disk quota exceeded on the disk of \S+\/db: [\d.]+ [KM]iB are left, [\d.]+ MiB are needed/)
  assert.equal((await server.ask('GET', maps)).body.items.length, written.length)
  assert.equal((await server.ask('GET', '/readyz')).code, 500)
  assert.equal((await server.ask('POST', maps, { body: big('more') })).code, 503)
  for (const name of written.splice(0, 2)) assert.equal((await server.ask('DELETE', `${maps}/${name}`)).code, 200)
  limit('256M')
  await well(store)
  assert.equal((await server.ask('GET', '/readyz')).text, 'ok')
  assert.equal((await server.ask('POST', maps, { body: big('again') })).code, 201)
  assert.equal((await server.ask('GET', maps)).body.items.length, written.length + 1)
})

test('a start on a full disk serves what is there and says so, whether or not a reserve is left', { skip }, async (t) => {
  const disk = await smallDisk(t)
  const dir = join(disk, 'db')
  const first = await openLevelStore({ dir, log: silent })
  {
    await using server = await live({ store: first })
    for (let i = 0; i < 4; i += 1) assert.equal((await server.ask('POST', maps, { body: big(`m${i}`) })).code, 201)
  }
  await first.close()

  // With the reserve: what frees room is written.
  let ballast = await fill(disk)
  const second = await openLevelStore({ dir, log: silent })
  {
    await using server = await live({ store: second })
    assert.equal((await server.ask('GET', maps)).body.items.length, 4)
    assert.equal((await server.ask('GET', '/readyz')).code, 500)
    assert.equal((await server.ask('POST', maps, { body: big('more') })).code, 503)
    assert.equal((await server.ask('DELETE', `${maps}/m0`)).code, 200)
  }
  await second.close()

  // Without: nothing can be written, not even what the database needs to open.
  await rm(join(dir, 'reserve'), { force: true })
  ballast = await fill(disk)
  const manifest = await readFile(join(dir, 'CURRENT'), 'utf8')
  const third = await openLevelStore({ dir, log: silent })
  {
    await using server = await live({ store: third })
    assert.equal((await server.ask('GET', maps)).body.items.length, 3)
    assert.equal(await readFile(join(dir, 'CURRENT'), 'utf8'), manifest, 'what is there stays as it is')
    const { code, body } = await server.ask('DELETE', `${maps}/m1`)
    assert.equal(code, 503)
    assert.match(body.message, /until then nothing is written/)
    await unlink(ballast)
    await well(third)
    assert.equal((await server.ask('DELETE', `${maps}/m1`)).code, 200)
    assert.equal((await server.ask('POST', maps, { body: big('more') })).code, 201)
  }
  await third.close()
})
