import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silent } from '#api/log.ts'
import { openImages } from '../agent/images/store.ts'

test('busybox and pause: the same bytes each time, only built when something changed, and they run', async (t) => {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'coracle-build-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const build = () => execFileSync(process.execPath, [join(import.meta.dirname, 'build.ts'), dir])
  const bytes = () => ['busybox', 'pause'].map((name) => readFileSync(join(dir, `${name}.tar`)))
  build()
  const first = bytes()
  const { mtimeMs } = statSync(join(dir, 'busybox.tar'))
  build()
  assert.equal(statSync(join(dir, 'busybox.tar')).mtimeMs, mtimeMs)
  rmSync(join(dir, 'inputs'))
  build()
  assert.deepEqual(bytes(), first)

  const images = await openImages({ dir: join(dir, 'store'), log: silent })
  const [busybox] = await images.import(join(dir, 'busybox.tar'))
  assert.deepEqual(busybox!.names, ['docker.io/library/busybox:1.35', 'docker.io/library/busybox:latest'])
  assert.equal(String(execFileSync('chroot', [busybox!.layers[0]!, 'sh', '-c', 'id -un; env true && ls -d /tmp'])), 'root\n/tmp\n')
  const [pause] = await images.import(join(dir, 'pause.tar'))
  await images.close()
  // As process 1 of a namespace, where a signal without a handler would do nothing.
  const child = spawn('unshare', ['--pid', '--fork', '--kill-child', join(pause!.layers[0]!, 'pause')], { stdio: 'ignore' })
  const exit = once(child, 'exit')
  const children = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'latin1').trim()
  const isPause = (pid: string) =>
    pid !== '' &&
    readFileSync(`/proc/${pid}/comm`, 'latin1') === 'pause\n' &&
    !/SigCgt:\s0+$/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
  while (!isPause(children())) await new Promise((resolve) => setImmediate(resolve))
  process.kill(Number(children()), 'SIGTERM')
  assert.deepEqual(await exit, [0, null])
})
