import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silent } from '#api/log.ts'
import { cleanupAgent } from './cleanup.ts'
import { isRunning, socketOf } from './local/local.ts'

test('nothing is taken away from under an agent that runs', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'coracle-cleanup-'))
  t.after(() => rm(dataDir, { recursive: true }))
  assert.equal(await isRunning(dataDir), false, 'no agent was ever here')
  await mkdir(join(dataDir, 'containers'))
  const agent = createServer().listen(socketOf(dataDir))
  t.after(() => agent.close())
  await new Promise((resolve) => agent.once('listening', resolve))

  const options = { dataDir, cgroupParent: '/coracle-cleanup-test', runtime: 'runc', log: silent }
  await assert.rejects(cleanupAgent(options), { message: `the agent of ${dataDir} is running: stop it first` })
  assert.deepEqual((await readdir(dataDir)).sort(), ['agent.sock', 'containers'])
})
