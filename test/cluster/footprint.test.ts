// Both sides of the comparison: what a login, a timer or Docker makes meanwhile is not the cluster's, and
// whatever of the cluster is left behind is found.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { removeCgroup } from './cgroups.ts'
import { difference, type Footprint, footprint } from './footprint.ts'
import { nameOf } from './plan.ts'
import { attempt, run } from './shell.ts'

type Made = Partial<Record<keyof Footprint, RegExp>>

/** Makes one of each kind below `dir` and by `name`; all of it goes with the test. */
async function makeOneOfEach(t: TestContext, dir: string, name: string): Promise<void> {
  const undo: (() => Promise<unknown>)[] = []
  t.after(async () => {
    for (const step of undo.reverse()) await step()
  })
  undo.push(() => rm(dir, { recursive: true, force: true }))
  await mkdir(join(dir, 'mounted'), { recursive: true })
  const ip = async (...args: string[]) => void (await run('ip', ...args))
  await ip('netns', 'add', `${name}-node-1`)
  undo.push(() => ip('netns', 'delete', `${name}-node-1`))
  await ip('link', 'add', `${name}-up`, 'type', 'bridge')
  undo.push(() => ip('link', 'delete', `${name}-up`))
  await ip('link', 'set', `${name}-up`, 'up')
  await ip('address', 'add', `198.51.100.${dir.length}/32`, 'dev', `${name}-up`)
  await ip('route', 'add', `203.0.113.${dir.length}/32`, 'dev', `${name}-up`)
  await run('mount', '-t', 'tmpfs', 'tmpfs', join(dir, 'mounted'))
  undo.push(() => run('umount', join(dir, 'mounted')))
  const { stdout } = await attempt('find', ['/sys/fs/cgroup', '-mindepth', '1', '-maxdepth', '1', '-name', 'memory', '-type', 'd'])
  await mkdir(`${stdout.trim() || '/sys/fs/cgroup'}/${name}/node-1`, { recursive: true })
  undo.push(async () => {
    for (const path of [`${name}/node-1`, name]) await removeCgroup(path)
  })
  const child = spawn('sleep', ['1000'], { cwd: dir, stdio: 'ignore' })
  undo.push(async () => void child.kill('SIGKILL'))
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject))
}

const folder = async () => await mkdtemp(join(tmpdir(), 'coracle-footprint-'))

test('what others make meanwhile is not counted', async (t) => {
  const dir = join(await folder(), 'cluster')
  t.after(() => rm(join(dir, '..'), { recursive: true }))
  const before = await footprint({ dir, alone: false })
  const theirs = await folder()
  await makeOneOfEach(t, theirs, nameOf(theirs)) // another cluster
  const docker = await folder()
  await makeOneOfEach(t, `${docker}-longer`, 'docker9')
  t.after(() => rm(docker, { recursive: true }))
  assert.deepEqual(difference(before, await footprint({ dir, alone: false })), [])
  assert.ok(Object.values(before).every((lines) => lines.length === 0))
})

test('whatever is left behind is', async (t) => {
  const dir = await folder()
  const before = { ...(await footprint({ dir, alone: false })), folders: [] }
  const name = nameOf(dir)
  await makeOneOfEach(t, dir, name)
  const left = difference(before, await footprint({ dir, alone: false })).join('\n')
  const found: Made = {
    folders: new RegExp(dir),
    processes: /sleep 1000/,
    namespaces: new RegExp(`${name}-node-1`),
    links: new RegExp(`${name}-up`),
    addresses: /198\.51\.100\./,
    routes: /203\.0\.113\./,
    mounts: new RegExp(`${dir}/mounted`),
    cgroups: new RegExp(`/${name}/node-1`),
  }
  for (const [part, line] of Object.entries(found)) assert.match(left, new RegExp(`^${part}: \\+ .*${line.source}`, 'm'))
})

test('of a node in the machine’s own network, links, routes, rules and settings count by an agent’s names', async (t) => {
  const dir = join(await folder(), 'cluster')
  t.after(() => rm(join(dir, '..'), { recursive: true }))
  const ours = { dir, alone: true }
  const before = await footprint(ours)
  const undo: string[][] = []
  t.after(async () => {
    for (const command of undo.reverse()) await run(command[0] as string, ...command.slice(1))
  })
  const make = async (command: string, back: string) => {
    await run('sh', '-c', command)
    undo.push(['sh', '-c', back])
  }
  await make('ip link add dummy9 type bridge', 'ip link delete dummy9')
  await make('nft add table ip filter9', 'nft delete table ip filter9')
  assert.deepEqual(difference(before, await footprint(ours)), [], 'a foreign link brings settings of its own')

  const forward = (await run('cat', '/proc/sys/net/ipv4/conf/lo/forwarding')).trim()
  await make(`echo ${1 - Number(forward)} >/proc/sys/net/ipv4/conf/lo/forwarding`, `echo ${forward} >/proc/sys/net/ipv4/conf/lo/forwarding`)
  await make('ip link add cor0123456789ab type bridge', 'ip link delete cor0123456789ab')
  await make('nft add table ip coracle-left', 'nft delete table ip coracle-left')
  await make('nft add chain ip filter9 CORACLE-X', 'nft delete chain ip filter9 CORACLE-X')
  await make('ip link set lo up; ip route add 203.0.113.200/32 dev lo proto 67', 'ip route delete 203.0.113.200/32')
  const left = difference(before, await footprint(ours)).join('\n')
  const found = [
    'links: \\+ cor0123456789ab',
    'rules: \\+ table ip coracle-left',
    'rules: \\+ table ip filter9 .* CORACLE-X',
    'routes: \\+ .*203\\.0\\.113\\.200',
    'sysctls: \\+ .*/lo/forwarding:',
  ]
  for (const line of found) assert.match(left, new RegExp(`^${line}`, 'm'))
})
