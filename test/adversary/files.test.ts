// What other users of the host can read of a server and an agent: nothing, whoever made their folders.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
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

test('a join token on the command line of an agent is nobody else’s to see', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-title-'))
  const token = `K10${'a'.repeat(64)}::a-secret`
  const program = join(import.meta.dirname, '../../bin/coracle')
  const given = ['agent', '--server=https://127.0.0.1:1', '--node-name=x', '--node-ip=192.0.2.1', `--data-dir=${dir}`, '--token', token]
  const agent = spawn(program, given, { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    // It says that it cannot join, as nobody is there, and goes on trying.
    assert.match(String((await once(agent.stdout, 'data'))[0]), /cannot join/)
    const shown = await readFile(`/proc/${agent.pid}/cmdline`, 'utf8')
    assert.deepEqual([shown.includes('a-secret'), shown.replaceAll('\0', ' ').trim()], [false, 'coracle agent'])
  } finally {
    agent.kill()
    await once(agent, 'exit')
    await rm(dir, { recursive: true })
  }
})
