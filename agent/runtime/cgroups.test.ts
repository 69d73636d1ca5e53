import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openCgroups } from './cgroups.ts'

/** A folder that looks like a hierarchy of version 2; the kernel makes the files of a new cgroup, here they are there before. */
function unified(t: TestContext, ...groups: string[]) {
  const root = mkdtempSync(join(tmpdir(), 'coracle-cg-'))
  t.after(() => rmSync(root, { recursive: true }))
  for (const group of ['', ...groups]) {
    mkdirSync(join(root, group), { recursive: true })
    const files = {
      'cgroup.controllers': 'cpu memory pids',
      'cgroup.subtree_control': '',
      'cpu.weight': '',
      'cpu.max': '',
      'memory.max': '',
      'pids.max': '',
    }
    for (const [name, content] of Object.entries(files)) writeFileSync(join(root, group, name), content)
  }
  return { root, mountinfo: `30 1 0:26 / ${root} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate` }
}

test('limits on the unified hierarchy, handed down by every ancestor', async (t) => {
  const { root, mountinfo } = unified(t, 'c', 'c/pods', 'c/pods/one')
  const cgroups = await openCgroups({ parent: 'c', mountinfo })
  assert.equal(cgroups.version, 2)
  assert.equal(cgroups.path('pods/one'), '/c/pods/one')
  await cgroups.create('pods/one', { cpuShares: 1024, cpuQuotaMicros: 50_000, memoryBytes: 1 << 20, pids: 7 })
  const read = (file: string) => readFileSync(join(root, file), 'utf8')
  assert.deepEqual(
    ['cpu.weight', 'cpu.max', 'memory.max', 'pids.max'].map((file) => read(`c/pods/one/${file}`)),
    ['39', '50000 100000', '1048576', '7'],
  )
  for (const parent of ['', 'c/', 'c/pods/']) assert.equal(read(`${parent}cgroup.subtree_control`), '+pids', 'the last written')
  await cgroups.limit('pods/one', {})
  assert.match(read('c/pods/one/cpu.max'), /^max 100000/)
  await assert.rejects(cgroups.limit('nosuch', { memoryBytes: 1 }), { code: 'ENOENT' })
})

test('figures of the unified hierarchy', async (t) => {
  const { root, mountinfo } = unified(t, 'c')
  const cgroups = await openCgroups({ parent: '/c', mountinfo })
  assert.equal(await cgroups.stats('x'), undefined)
  const files = {
    'cpu.stat': 'usage_usec 12\nuser_usec 3\n',
    'memory.current': '1000\n',
    'memory.stat': 'anon 1\ninactive_file 300\n',
    'memory.events': 'oom 1\noom_kill 2\n',
    'cgroup.procs': '5\n6\n',
  }
  for (const [name, content] of Object.entries(files)) writeFileSync(join(root, 'c', name), content)
  assert.deepEqual(await cgroups.stats(''), { cpuNanos: 12_000, memoryUsageBytes: 1000, memoryWorkingSetBytes: 700 })
  assert.equal(await cgroups.oomKills(''), 2)
  assert.deepEqual(await cgroups.processes(''), [5, 6])
  assert.equal(await cgroups.limitsSwap(), false)
})

test('a cgroup cannot be outside the parent, and a host without any is refused', async (t) => {
  const { mountinfo } = unified(t)
  const cgroups = await openCgroups({ parent: 'c', mountinfo })
  await assert.rejects(cgroups.remove('../other'), /leaves its parent/)
  await assert.rejects(openCgroups({ parent: '/', mountinfo }), /cannot be the root/)
  await assert.rejects(openCgroups({ parent: 'c', mountinfo: '' }), /no control group hierarchy/)
})

test('pod cgroups of this host are made, limited and removed with what is below', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  const name = `coracle-test-${process.pid}`
  const cgroups = await openCgroups({ parent: name })
  await cgroups.create('pods/one', { memoryBytes: 8 << 20, cpuShares: 10, pids: 5 })
  await cgroups.create('pods/one', { memoryBytes: 16 << 20 })
  await cgroups.create('pods/one/below', {})
  assert.ok((await cgroups.stats('pods/one'))!.memoryUsageBytes >= 0)
  await cgroups.remove('pods/one')
  assert.equal(await cgroups.stats('pods/one'), undefined)
  await cgroups.remove('')
  await cgroups.remove('')
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').matchAll(/ (\/\S+) \S+ (?:\S+ )*- cgroup2? /g)
  for (const [, path] of mounts) assert.ok(!existsSync(join(path!, name)), path)
})
