import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { capabilitiesOf, parseMask } from './capabilities.ts'
import { cpuWeight, parseMounts } from './cgroups.ts'
import { plainMessage } from './conmon.ts'
import type { Host } from './host.ts'
import { ociConfig } from './oci.ts'
import { overlayOptions } from './overlay.ts'
import { readIn, resolveIn } from './rootfs.ts'
import type { ContainerSpec } from './runtime.ts'
import { signalNumber } from './signals.ts'
import { resolveUser } from './user.ts'

const host: Host = { cgroupVersion: 2, limitsSwap: true, capabilities: parseMask('1fffeffffff'), lowestOomScoreAdj: 0, bootId: 'b' }
const user = { uid: 5, gid: 6, groups: [7], home: '/home/five' }
const spec = (change: Partial<ContainerSpec> = {}): ContainerSpec => ({
  id: 'c',
  pod: { namespace: 'n', name: 'p', uid: 'u' },
  name: 'c',
  attempt: 0,
  layers: ['/l'],
  args: ['a'],
  env: ['A=b'],
  cwd: '/',
  user: '0',
  namespaces: { net: '/ns/net', ipc: '/ns/ipc', uts: '/ns/uts', pid: 'new' },
  mounts: [],
  cgroup: 'c',
  resources: {},
  readOnlyRoot: false,
  privileged: false,
  capabilities: { add: [], drop: [] },
  noNewPrivileges: false,
  oomScoreAdj: -997,
  tty: false,
  stdin: false,
  stdinOnce: false,
  logPath: '/log',
  ...change,
})
const plan = (change?: Partial<ContainerSpec>, on: Partial<Host> = {}) =>
  ociConfig(spec(change), { user, host: { ...host, ...on }, cgroupsPath: '/x/c', devices: [] })

test('the defaults of a container', () => {
  const { process, linux, mounts } = plan({ groups: [8] })
  assert.deepEqual(process.user, { uid: 5, gid: 6, additionalGids: [6, 7, 8] })
  assert.deepEqual(process.env, ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/home/five', 'A=b'])
  assert.equal(process.oomScoreAdj, 0)
  assert.deepEqual(
    linux.namespaces.map((n) => `${n.type} ${n.path ?? 'new'}`),
    ['mount new', 'network /ns/net', 'ipc /ns/ipc', 'uts /ns/uts', 'pid new', 'cgroup new'],
  )
  assert.deepEqual(linux.resources.devices, [{ allow: false, access: 'rwm' }])
  assert.ok(linux.maskedPaths?.includes('/proc/kcore') && linux.readonlyPaths?.includes('/proc/sys'))
  assert.deepEqual(mounts.find((m) => m.destination === '/sys')?.options, ['nosuid', 'noexec', 'nodev', 'ro'])
  assert.equal(plan({ env: ['PATH=/own', 'HOME=/own'] }).process.env.join(), 'PATH=/own,HOME=/own')
})

test("sharing the host's namespaces, and another process's", () => {
  const types = (namespaces: ContainerSpec['namespaces']) => plan({ namespaces }, { cgroupVersion: 1 }).linux.namespaces
  assert.deepEqual(types({ pid: 'host' }), [{ type: 'mount' }])
  assert.deepEqual(types({ pid: 42 }), [{ type: 'mount' }, { type: 'pid', path: '/proc/42/ns/pid' }])
  assert.equal(plan({ namespaces: {} }).mounts.find((m) => m.destination === '/dev/shm')?.source, '/dev/shm')
})

test('a mount of its own takes the place of a default one', () => {
  const { mounts } = plan({
    mounts: [
      { source: '/host/shm', target: '/dev/shm' },
      { source: '/ro', target: '/r', readOnly: true, options: ['rslave'] },
    ],
  })
  assert.deepEqual(
    mounts.filter((m) => m.destination === '/dev/shm').map((m) => m.source),
    ['/host/shm'],
  )
  assert.deepEqual(mounts.at(-1)?.options, ['rbind', 'rslave', 'ro'])
})

test('limits, with swap where the host counts it', () => {
  const resources = { memoryBytes: 100, cpuShares: 2, cpuQuotaMicros: 3, pids: 4 }
  const { devices: _, unified: __, ...limits } = plan({ resources }).linux.resources
  assert.deepEqual(limits, { cpu: { shares: 2, quota: 3, period: 100_000 }, memory: { limit: 100, swap: 100 }, pids: { limit: 4 } })
  assert.deepEqual(plan({ resources }, { limitsSwap: false }).linux.resources.memory, { limit: 100 })
})

test('capabilities: defaults, additions, what the host lacks', () => {
  const of = (add: string[], drop: string[] = [], privileged = false) =>
    capabilitiesOf({ privileged, capabilities: { add, drop } }, host.capabilities)
  assert.equal(of([]).length, 14)
  assert.deepEqual(of(['NET_ADMIN'], ['ALL']), ['CAP_NET_ADMIN'])
  assert.ok(!of([], ['CAP_CHOWN']).includes('CAP_CHOWN'))
  assert.equal(of([], [], true).length, host.capabilities.size)
  assert.throws(() => of(['SYS_RESOURCE']), { name: 'RuntimeError', message: /not available on this node/ })
  assert.throws(() => of(['MAGIC']), { name: 'RuntimeError', message: /unknown capability MAGIC/ })
})

const root = (t: TestContext): string => {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-root-'))
  t.after(() => rmSync(dir, { recursive: true }))
  mkdirSync(join(dir, 'etc'))
  return dir
}

test('symbolic links of an image end inside it', async (t) => {
  const dir = root(t)
  writeFileSync(join(dir, 'real'), 'inside')
  symlinkSync('../../../../real', join(dir, 'etc/up'))
  symlinkSync('/real', join(dir, 'etc/absolute'))
  symlinkSync('/etc/passwd', join(dir, 'etc/passwd'))
  symlinkSync('/etc', join(dir, 'elsewhere'))
  symlinkSync('loop', join(dir, 'loop'))
  assert.equal(await readIn(dir, '/etc/up'), 'inside')
  assert.equal(await readIn(dir, '/elsewhere/absolute'), 'inside')
  assert.equal(await readIn(dir, '/etc/nosuch'), '')
  assert.equal(await readIn(dir, '/etc'), '')
  assert.equal(await readIn(dir, '/real', 3), '')
  await assert.rejects(resolveIn(dir, '/loop'), /too many symbolic links/)
  await assert.rejects(readIn(dir, '/etc/passwd'), /too many symbolic links/)
})

test('users by name and number', async (t) => {
  const dir = root(t)
  writeFileSync(join(dir, 'etc/passwd'), '# c\nbroken\nroot:x:0:0::/root:/bin/sh\nweb:x:10:20::/home/web:/bin/sh\n7:x:70:71::/seven:\n')
  writeFileSync(join(dir, 'etc/group'), 'staff:x:50:web,other\nwheel:x:60:\n')
  assert.deepEqual(await resolveUser(dir, ''), { uid: 0, gid: 0, groups: [], home: '/root' })
  assert.deepEqual(await resolveUser(dir, 'web'), { uid: 10, gid: 20, groups: [50], home: '/home/web' })
  assert.deepEqual(await resolveUser(dir, '10'), { uid: 10, gid: 20, groups: [50], home: '/home/web' })
  assert.deepEqual(await resolveUser(dir, 'web:wheel'), { uid: 10, gid: 60, groups: [], home: '/home/web' })
  assert.deepEqual(await resolveUser(dir, '1234:99'), { uid: 1234, gid: 99, groups: [], home: '/' })
  assert.deepEqual(await resolveUser(dir, { uid: 10, gid: 1, groups: [2] }), { uid: 10, gid: 1, groups: [2], home: '/home/web' })
  for (const bad of ['nobody', 'web:nogroup', '4294967295', '-1']) await assert.rejects(resolveUser(dir, bad), { name: 'RuntimeError' })
})

test('signals, messages, weights, layers', () => {
  assert.deepEqual(['TERM', 'sigint', '9', 'RTMIN+3', 'SIGRTMAX-1', 'BOGUS', '99'].map(signalNumber), [
    15,
    2,
    9,
    37,
    63,
    undefined,
    undefined,
  ])
  assert.equal(plainMessage('time="x" level=error msg="exec: \\"a\\": not found"\n'), 'exec: "a": not found')
  assert.equal(plainMessage('plain\n'), 'plain')
  assert.deepEqual([2, 1024, 262_144].map(cpuWeight), [1, 39, 10_000])
  assert.equal(overlayOptions(['/a:b', '/c,d'], '/u', '/w'), 'lowerdir=/c\\,d:/a\\:b,upperdir=/u,workdir=/w')
})

test('the hierarchies of a hybrid host', () => {
  const mountinfo = [
    '30 1 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755',
    '31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct',
    '32 30 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    '33 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    '34 30 0:27 / /other/cpu rw - cgroup cgroup rw,cpu,cpuacct',
  ].join('\n')
  assert.deepEqual(parseMounts(mountinfo), [
    { root: '/sys/fs/cgroup/cpu', controllers: ['cpu', 'cpuacct'] },
    { root: '/sys/fs/cgroup/systemd', controllers: ['name=systemd'] },
    { root: '/sys/fs/cgroup/unified', controllers: [] },
  ])
})
