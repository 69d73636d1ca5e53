// Debian's python3-kubernetes, with Debian's python: the typed and the dynamic client.

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { attempt } from '../cluster/shell.ts'
import { samples } from './kinds.ts'
import { testServer } from './server.ts'

const python = '/usr/bin/python3'
const namespace = 'python'
const there = (await attempt(python, ['-c', 'import kubernetes'])).code === 0

test('python3-kubernetes', { skip: !there && 'the package is not installed: make test-packages' }, async (t) => {
  const { kubeconfig } = await testServer()
  const folder = await mkdtemp(join(tmpdir(), 'coracle-python-'))
  after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'samples.json')
  await writeFile(file, JSON.stringify(await samples(namespace)))
  const script = resolve(import.meta.dirname, 'client.py')
  const { stdout, stderr, code } = await attempt(python, [script, kubeconfig, file, namespace])
  for (const line of stdout.split('\n').filter(Boolean)) t.diagnostic(line)
  assert.equal(code, 0, stderr)
})
