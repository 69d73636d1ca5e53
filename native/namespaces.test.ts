import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { connectInNetns } from './connect.ts'
import { mounts } from './mounts.ts'
import { namespaces, readSysctl, writeSysctl } from './namespaces.ts'
import { openNetlink } from './netlink/socket.ts'
import { freshNetns, needsRoot } from './testing/fresh-netns.ts'

/** A temporary folder in which whatever is pinned at `names` is unpinned at the end. */
const folder = (t: TestContext, ...names: string[]) => {
  const path = mkdtempSync(join(tmpdir(), 'ns-'))
  t.after(async () => {
    for (const name of names) await namespaces.unpin(join(path, name))
    rmSync(path, { recursive: true })
  })
  return path
}
const inside = (paths: { net?: string; uts?: string }, ...command: string[]) =>
  execFileSync('nsenter', [...Object.entries(paths).map(([kind, path]) => `--${kind}=${path}`), ...command], { encoding: 'utf8' }).trim()

test('pinned namespaces have their hostname, loopback and sysctls, and are the same the second time', { skip: needsRoot }, async (t) => {
  const dir = join(folder(t, 'deep/net', 'deep/ipc', 'deep/uts'), 'deep')
  const own = readlinkSync('/proc/self/ns/net')
  const paths = { net: join(dir, 'net'), ipc: join(dir, 'ipc'), uts: join(dir, 'uts') }
  await namespaces.create({ ...paths, hostname: 'web-0', sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0', 'kernel/shmmni': '128' } })
  assert.equal(inside(paths, 'hostname'), 'web-0')
  assert.equal(inside(paths, 'cat', '/sys/class/net/lo/flags', '/proc/sys/net/ipv4/ip_unprivileged_port_start'), '0x9\n0')
  assert.equal(readlinkSync('/proc/self/ns/net'), own)

  const inode = statSync(paths.net).ino
  await namespaces.create({ ...paths, hostname: 'web-1' })
  assert.equal(statSync(paths.net).ino, inode)
  assert.equal(inside(paths, 'hostname'), 'web-1')

  await namespaces.unpin(paths.net)
  await namespaces.unpin(paths.net)
  assert.equal(existsSync(paths.net), false)
  assert.equal(namespaces.isPinned(paths.net), false)
  assert.equal(namespaces.isPinned(paths.uts), true)
})

test('a mount namespace is pinned, and what is mounted in it shows nowhere else', { skip: needsRoot }, async (t) => {
  const dir = folder(t, 'mnt')
  const mnt = join(dir, 'mnt')
  const own = readlinkSync('/proc/self/ns/mnt')
  await namespaces.create({ mnt })
  const inode = statSync(mnt).ino
  await namespaces.create({ mnt })
  assert.deepEqual([namespaces.isPinned(mnt), statSync(mnt).ino], [true, inode])
  assert.notEqual(own, `mnt:[${inode}]`)

  const target = mkdtempSync(join(dir, 'target-'))
  await mounts.mount({ source: 'tmpfs', target, type: 'tmpfs', flags: ['nosuid', 'private'], namespace: mnt })
  const seen = (...command: string[]) => execFileSync(command[0]!, command.slice(1), { encoding: 'utf8' }).trim()
  assert.equal(seen('nsenter', `--mount=${mnt}`, 'stat', '-f', '-c', '%T', target), 'tmpfs')
  assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(target))
  await mounts.unmount(target, { namespace: mnt })
  await mounts.unmount(target, { namespace: mnt })
  assert.doesNotMatch(seen('nsenter', `--mount=${mnt}`, 'cat', '/proc/self/mountinfo'), new RegExp(target))
  await assert.rejects(mounts.unmount(target, { namespace: join(dir, 'none') }), { code: 'ENOENT', syscall: 'open' })
  assert.equal(readlinkSync('/proc/self/ns/mnt'), own)
})

test('a creation that fails pins nothing', { skip: needsRoot }, async (t) => {
  const dir = folder(t)
  const net = join(dir, 'net')
  await assert.rejects(namespaces.create({ net, sysctls: { 'net.ipv4.no_such': '1' } }), { code: 'ENOENT', syscall: 'open' })
  assert.equal(existsSync(net), false)
  await assert.rejects(namespaces.create({ net, sysctls: { 'net.ipv4.ip_forward': 'many' } }), { code: 'EINVAL', syscall: 'write' })
  assert.equal(existsSync(net), false)
  // The mount namespace comes last; what was made for it goes again.
  await assert.rejects(namespaces.create({ net, mnt: '/proc/mnt' }), { code: 'ENOENT', syscall: 'open' })
  assert.equal(existsSync(net), false)
})

test('a sysctl is the namespace’s own', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const before = readFileSync('/proc/sys/net/ipv4/ip_default_ttl', 'utf8').trim()
  await writeSysctl('net.ipv4.ip_default_ttl', '33', netns)
  assert.equal(await readSysctl('net.ipv4.ip_default_ttl', netns), '33')
  assert.equal(await readSysctl('net.ipv4.ip_default_ttl'), before)
})

test('a connection into a namespace reaches what listens on its loopback', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const server = createServer((socket) => socket.end('outside'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }

  await assert.rejects(connectInNetns({ netns, host: '127.0.0.1', port }), { code: 'ECONNREFUSED', syscall: 'connect' })
  const read = async (fd: number) => {
    let text = ''
    for await (const chunk of new Socket({ fd }).setEncoding('utf8')) text += chunk
    return text
  }
  assert.equal(await read(await connectInNetns({ host: '127.0.0.1', port })), 'outside')

  // A listener inside, which the outside cannot reach under that address.
  const child = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', listener], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill())
  const innerPort = await new Promise<number>((resolve) => child.stdout.once('data', (data) => resolve(Number(data))))
  assert.equal(await read(await connectInNetns({ netns, host: '127.0.0.1', port: innerPort })), 'inside')
})
const listener = `const s = net.createServer((c) => c.end('inside')).listen(0, '127.0.0.1', () => console.log(s.address().port))`

test('a connection attempt is given up by its signal', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  inside({ net: netns }, 'ip', 'link', 'add', 'hole', 'type', 'veth')
  inside({ net: netns }, 'ip', 'addr', 'add', '192.0.2.1/24', 'dev', 'hole')
  for (const end of ['hole', 'veth0']) inside({ net: netns }, 'ip', 'link', 'set', end, 'up')
  const signal = AbortSignal.timeout(20)
  const started = performance.now()
  await assert.rejects(connectInNetns({ netns, host: '192.0.2.9', port: 80, signal }), { name: 'TimeoutError' })
  assert(performance.now() - started < 900)
})

test('a worker that ends with sockets open and work under way leaves no descriptor', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const source = `
    const { openNetlink } = await import(${JSON.stringify(import.meta.resolve('./netlink/socket.ts'))})
    const socket = await openNetlink('route', { netns: ${JSON.stringify(netns)} })
    socket.join(1)
    socket.messages()[Symbol.asyncIterator]().next()
    const { parentPort } = await import('node:worker_threads')
    parentPort.postMessage('waiting')
    for (let i = 0; i < 20; i++) openNetlink('route')
    await new Promise(() => {})`
  const isSocket = (fd: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      return false // closed since it was listed
    }
  }
  const sockets = () => readdirSync('/proc/self/fd').filter(isSocket).length
  const before = sockets()
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
    await new Promise((resolve) => worker.once('message', resolve))
    await worker.terminate()
  }
  // Work under way on other threads ends, and closes what it opened, shortly after its worker.
  for (const deadline = performance.now() + 5000; sockets() !== before && performance.now() < deadline; ) await sleep(10)
  assert.equal(sockets(), before)
  const after = await openNetlink('route')
  after.close()
})
