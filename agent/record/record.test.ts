import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { silent } from '#api/log.ts'
import { openRecord } from './record.ts'
import { openSeal } from './seal.ts'

const folder = async (t: TestContext): Promise<string> => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-record-'))
  t.after(() => rm(dir, { recursive: true }))
  return dir
}
const open = (dir: string, clock = fakeClock()) => openRecord({ dir, clock, log: silent })
const filesIn = async (dir: string) => (await readdir(join(dir, 'files'))).toSorted()

test('values are there for the next process, readable by nobody else', async (t) => {
  const dir = await folder(t)
  const record = await open(dir)
  record.set('a', () => ({ word: 'swordfish' }))
  record.set('b', () => [1, 2])
  record.set('gone', () => 1)
  await record.flush()
  record.set('gone', undefined)
  await record.close()
  const next = await open(dir)
  assert.deepEqual(next.names().toSorted(), ['a', 'b'])
  assert.deepEqual([next.take('a'), next.take('b'), next.take('gone')], [{ word: 'swordfish' }, [1, 2], undefined])
  await next.close()
  for (const file of [join(dir, 'key'), ...(await filesIn(dir)).map((name) => join(dir, 'files', name))]) {
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    assert.ok(!(await readFile(file, 'latin1')).includes('swordfish'))
  }
})

test('what has not changed is not written, and what changes often is written seldom', async (t) => {
  const clock = fakeClock()
  const record = await open(await folder(t), clock)
  const noise = Array.from({ length: 4000 }, (_, i) => Math.sin(i))
  const value = { version: 1, noise }
  const put = () =>
    record.set(
      'a',
      () => value,
      () => value.noise,
    )
  put()
  await record.flush()
  const { bytes } = record.written
  assert.ok(bytes > 20_000)
  value.version = 2
  put()
  await record.flush()
  assert.deepEqual(record.written, { bytes, files: 1 }, 'another version is no change')
  for (let i = 0; i < 60; i++) {
    noise[0] = i + 1
    put()
    await clock.advance(1_000)
    await settle()
  }
  assert.ok(record.written.files <= 4, `${record.written.files} files in a minute`)
  await record.close()
})

test('what changes while others are written is not lost', async (t) => {
  const dir = await folder(t)
  const record = await open(dir)
  for (const name of ['a', 'b', 'c']) record.set(name, () => 'old')
  const flushed = record.flush()
  await settle()
  for (const name of ['a', 'b', 'c']) record.set(name, () => 'new')
  await flushed
  await record.close()
  const next = await open(dir)
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => next.take(name)),
    ['new', 'new', 'new'],
  )
  await next.close()
})

test('a file that is cut short at any byte, or has another bit, is set aside; the others are there', async (t) => {
  const dir = await folder(t)
  const record = await open(dir)
  record.set('whole', () => 'here')
  await record.close()
  const seal = await openSeal(join(dir, 'key'))
  const sealed = (name: string) => seal.seal(name, JSON.stringify([name, '', { some: 'thing', with: ['a', 'few', 'bytes'] }]))
  const { length } = sealed('cut-0000')
  for (let at = 0; at < length; at++) {
    const [cut, bent] = ['cut', 'bent'].map((damage) => `${damage}-${String(at).padStart(4, '0')}`) as [string, string]
    await writeFile(join(dir, 'files', cut), sealed(cut).subarray(0, at))
    await writeFile(
      join(dir, 'files', bent),
      sealed(bent).map((byte, i) => (i === at ? byte ^ 1 : byte)),
    )
  }
  await writeFile(join(dir, 'files', 'good'), sealed('good'))
  const next = await open(dir)
  assert.deepEqual(next.names().toSorted(), ['good', 'whole'])
  next.set('cut-0000', () => 'made anew')
  await next.close()
  const last = await open(dir)
  assert.deepEqual([last.take('cut-0000'), last.take('whole')], ['made anew', 'here'])
  await last.close()
  assert.equal((await readdir(join(dir, 'damaged'))).length, 1, 'the last one, for who wants to know')
})

test('a file in the place of another, and a lost or damaged key, are nothing to read', async (t) => {
  const dir = await folder(t)
  const record = await open(dir)
  record.set('a', () => 'a')
  await record.flush()
  const [a = ''] = await filesIn(dir)
  record.set('b', () => 'b')
  await record.close()
  const b = (await filesIn(dir)).find((name) => name !== a)!
  await writeFile(join(dir, 'files', b), await readFile(join(dir, 'files', a)))
  const next = await open(dir)
  assert.deepEqual([next.take('a'), next.take('b')], ['a', undefined])
  await next.close()
  for (const bytes of [Buffer.alloc(0), Buffer.alloc(31), Buffer.alloc(32)]) {
    await writeFile(join(dir, 'key'), bytes)
    const other = await open(dir)
    assert.deepEqual(other.names(), [])
    other.set('a', () => 'again')
    await other.close()
    const last = await open(dir)
    assert.equal(last.take('a'), 'again')
    await last.close()
  }
})

test('a write cut short by a power cut leaves what was there', async (t) => {
  const dir = await folder(t)
  const record = await open(dir)
  record.set('a', () => 'old')
  await record.close()
  const [name = ''] = await filesIn(dir)
  await writeFile(join(dir, 'files', `${name}.new`), 'half of someth')
  const next = await open(dir)
  assert.equal(next.take('a'), 'old')
  await next.close()
  assert.deepEqual(await filesIn(dir), [name])
})

test('a disk that takes nothing ends nothing, and is tried again', async (t) => {
  const dir = await folder(t)
  const clock = fakeClock()
  const record = await open(dir, clock)
  await rm(join(dir, 'files'), { recursive: true })
  await writeFile(join(dir, 'files'), 'no folder')
  record.set('a', () => 'a')
  await record.flush()
  await rm(join(dir, 'files'))
  await record.flush()
  await mkdir(join(dir, 'files'))
  await record.flush()
  await record.close()
  const next = await open(dir)
  assert.equal(next.take('a'), 'a')
  await next.close()
})
