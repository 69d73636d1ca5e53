import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, lstatSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { makeWhiteout, setXattr } from './files.ts'
import { mounts, planMount } from './mounts.ts'
import { openPty, setWindowSize } from './terminals.ts'
import { needsRoot } from './testing/fresh-netns.ts'

const folder = (t: TestContext, ...children: string[]) => {
  const path = mkdtempSync(join(tmpdir(), 'mnt-'))
  t.after(async () => {
    for (const child of children) await mounts.unmount(join(path, child), { detach: true })
    rmSync(path, { recursive: true })
  })
  for (const child of children) mkdirSync(join(path, child))
  return path
}

test('a read-only private bind mount takes three calls', () => {
  const MS_BIND = 0x1000
  const MS_REMOUNT = 0x20
  const MS_RDONLY = 1
  const MS_PRIVATE = 0x40000
  assert.deepEqual(planMount(['bind', 'readonly', 'private'], false), [
    { flags: MS_BIND },
    { flags: MS_BIND | MS_REMOUNT | MS_RDONLY, bare: true },
    { flags: MS_PRIVATE, bare: true },
  ])
  assert.deepEqual(planMount(['private'], false), [{ flags: MS_PRIVATE, bare: true }])
  assert.deepEqual(planMount(['nosuid'], true), [{ flags: 2 }])
})

test('a read-only bind mount refuses writes and unmounts twice', { skip: needsRoot }, async (t) => {
  const dir = folder(t, 'a', 'b')
  const target = join(dir, 'b')
  writeFileSync(join(dir, 'a', 'file'), 'x')
  await mounts.mount({ source: join(dir, 'a'), target, flags: ['bind', 'readonly', 'nosuid', 'private'] })
  assert.equal(readFileSync(join(target, 'file'), 'utf8'), 'x')
  assert.throws(() => writeFileSync(join(target, 'file'), 'y'), { code: 'EROFS' })
  await mounts.unmount(target)
  await mounts.unmount(target)
  await mounts.unmount(join(dir, 'missing'))
  assert.deepEqual(readdirSync(target), [])
  await assert.rejects(mounts.mount({ source: 'none', target: join(dir, 'missing'), type: 'tmpfs' }), { code: 'ENOENT', syscall: 'mount' })
})

test('whiteouts and opaque folders mean to overlayfs what they should', { skip: needsRoot }, async (t) => {
  const dir = folder(t, 'space')
  const space = join(dir, 'space')
  await mounts.mount({ source: 'none', target: space, type: 'tmpfs', data: 'size=1m' })
  for (const path of ['low', 'low/gone', 'low/hidden', 'high', 'high/hidden', 'work', 'merged']) mkdirSync(join(space, path))
  writeFileSync(join(space, 'low/hidden/old'), '')
  writeFileSync(join(space, 'high/hidden/new'), '')
  makeWhiteout(join(space, 'high/gone'))
  setXattr(join(space, 'high/hidden'), 'trusted.overlay.opaque', 'y')
  assert(lstatSync(join(space, 'high/gone')).isCharacterDevice())
  const merged = join(space, 'merged')
  await mounts.mount({ source: 'overlay', target: merged, type: 'overlay', data: `lowerdir=${space}/high:${space}/low` })
  const seen = [readdirSync(merged), readdirSync(join(merged, 'hidden'))]
  await mounts.unmount(merged)
  assert.deepEqual(seen, [['hidden'], ['new']])
  assert.throws(() => setXattr(join(space, 'nothing'), 'trusted.x', 'y'), { code: 'ENOENT', syscall: 'lsetxattr' })
  assert.throws(() => setXattr(join(space, 'low\0'), 'trusted.x', 'y'), TypeError)
})

test('a terminal has the size it is given', () => {
  const pty = openPty()
  try {
    setWindowSize(pty.master, { width: 132, height: 43 })
    const slave = openSync(pty.slave, 'r+')
    assert.equal(execFileSync('stty', ['size'], { stdio: [slave, 'pipe', 'pipe'], encoding: 'utf8' }), '43 132\n')
    closeSync(slave)
  } finally {
    closeSync(pty.master)
  }
  assert.throws(() => setWindowSize(-1, { width: 1, height: 1 }), { code: 'EBADF', syscall: 'ioctl' })
})
