// The addon's own functions, handed what no caller of ours hands them: they throw, and nothing else.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { addon } from './addon.ts'
import { SysError } from './sys-error.ts'
import { freshNetns, needsRoot } from './testing/fresh-netns.ts'
import { type Random, seeded } from './testing/random.ts'

const rounds = Number(process.env.FUZZ_ROUNDS ?? 3000)
const AF_NETLINK = 16
const SOCK_RAW = 3

/** Names that are nowhere, so that a call that happens to be well-formed changes nothing. */
const nowhere = '/nonexistent/nft-js'

const detached = () => {
  const bytes = new Uint8Array(64)
  structuredClone(bytes, { transfer: [bytes.buffer] })
  return bytes
}

const throwing = new Proxy([], {
  get() {
    throw new RangeError('a getter that throws')
  },
})

const strangers = (random: Random, sockets: readonly unknown[]): unknown =>
  random.pick([
    () => undefined,
    () => null,
    () => true,
    () => random.below(300) - 20,
    () => 2 ** 40 + 0.5,
    () => Number.NaN,
    () => -1n,
    () => Symbol('s'),
    () => '',
    () => 'with\0nul',
    () => `${nowhere}/\ud800 alone`,
    () => nowhere,
    () => nowhere.repeat(500),
    () => [],
    () => [nowhere, nowhere],
    () => [nowhere, 5],
    () => throwing,
    () => ({ length: 3 }),
    () => () => undefined,
    () => new Uint8Array(random.below(70)),
    () => new Uint8Array(new SharedArrayBuffer(32)),
    () => new Uint8Array(new ArrayBuffer(32, { maxByteLength: 64 })),
    () => new Uint16Array(8),
    () => new DataView(new ArrayBuffer(8)),
    () => detached(),
    () => random.pick(sockets),
  ])()

const isRefusal = (error: unknown) => error instanceof TypeError || error instanceof SysError || error instanceof RangeError

/** What a datagram of random bytes could ask of the kernel is nobody's business: these are not sent. */
const asks = new Set(['send', 'sendAside', 'sendMany'])

test('arguments of every wrong kind', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const random = seeded(7)
  const open = () => addon.openSocket(netns, AF_NETLINK, SOCK_RAW, 0)
  const closed = await open()
  addon.close(closed)
  const sockets = [await open(), closed, await open()]
  t.after(() => sockets.forEach((socket) => addon.close(socket)))
  const names = Object.keys(addon).filter((name) => !['initialize', 'detach', 'openPty'].includes(name))
  assert(names.length > 15)
  const refused = new Set<string>()
  for (let round = 0; round < rounds; round++) {
    const name = random.pick(names)
    const args = Array.from({ length: random.below(10) }, () => strangers(random, sockets))
    if (asks.has(name) && sockets.includes(args[0] as never)) continue
    try {
      await (addon as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args)
    } catch (error) {
      assert(isRefusal(error), `${name}: ${String(error)}`)
      refused.add(name)
    }
  }
  assert.deepEqual(
    names.filter((name) => !refused.has(name)),
    [],
  )
  assert.throws(() => addon.initialize(5 as never), TypeError)
})

test('every function refuses to be called with nothing', () => {
  for (const [name, call] of Object.entries(addon as unknown as Record<string, (...args: unknown[]) => unknown>)) {
    if (name === 'openPty') continue
    assert.throws(() => call(), TypeError, name)
  }
})

const descriptors = () => readdirSync('/proc/self/fd').length
const threads = () => Number(/Threads:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])

/** Calls of every kind under way, over and over; it says when they are. */
const busy = (netns: string) => `
  const { addon } = await import(${JSON.stringify(import.meta.resolve('./addon.ts'))})
  const { parentPort } = await import('node:worker_threads')
  const netns = ${JSON.stringify(netns)}
  const socket = await addon.openSocket(netns, 16, 3, 0)
  addon.bindNetlink(socket)
  const getLinks = Uint8Array.of(32, 0, 0, 0, 18, 0, 1, 3, 1, ...Array(23).fill(0))
  const ignore = () => {}
  const turn = () => {
    addon.openSocket(netns, 16, 3, 12).catch(ignore)
    addon.sysctl(netns, 'net.ipv4.ip_forward').catch(ignore)
    addon.createNamespaces(undefined, undefined, undefined, undefined, undefined, []).catch(ignore)
    addon.mount('none', '${nowhere}', 'tmpfs', 0).catch(ignore)
    addon.unmount('${nowhere}', 1).catch(ignore)
    addon.openBeneath(0, '${nowhere}', 0).catch(ignore)
    addon.unpinNamespace('${nowhere}').catch(ignore)
    addon.sendAside(socket, getLinks).catch(ignore)
    addon.arm(socket, 1, () => addon.receive(socket, new Uint8Array(65536)))
    setImmediate(turn)
  }
  turn()
  parentPort.postMessage('busy')`

test('workers that end while calls of every kind are under way leave nothing', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const before = { descriptors: descriptors(), threads: threads() }
  for (let round = 0; round < 6; round++) {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(busy(netns))}`))
    await once(worker, 'message')
    for (let turns = 0; turns < round; turns++) await new Promise(setImmediate)
    await worker.terminate()
  }
  // Work on other threads ends, and closes what it opened, shortly after its worker.
  const settled = () => descriptors() <= before.descriptors && threads() <= before.threads
  for (const deadline = performance.now() + 5000; !settled() && performance.now() < deadline; ) await sleep(5)
  assert(descriptors() <= before.descriptors, `${descriptors()} descriptors, ${before.descriptors} before`)
  const after = await addon.openSocket(netns, AF_NETLINK, SOCK_RAW, 0)
  addon.close(after)
})

test('whatever fails or succeeds, no descriptor is left', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const folder = openSync('/proc', 'r')
  t.after(() => closeSync(folder))
  const work = async () => {
    for (const path of [netns, nowhere, '/proc/version']) {
      const socket = await addon.openSocket(path, AF_NETLINK, SOCK_RAW, 0).catch(() => undefined)
      if (socket) {
        addon.bindNetlink(socket)
        await addon.sendAside(socket, new Uint8Array(20))
        addon.arm(socket, 1, () => {})
        addon.close(socket)
        addon.close(socket)
      }
      const found = await addon.openBeneath(folder, path.slice(6), 0).catch(() => undefined)
      if (found !== undefined) closeSync(found)
      await addon.sysctl(path, 'net.ipv4.ip_forward').catch(() => {})
      await addon.createNamespaces(path, undefined, undefined, undefined, undefined, ['no', 'such']).catch(() => {})
    }
    await new Promise(setImmediate)
  }
  await work()
  const before = descriptors()
  for (let i = 0; i < 20; i++) await work()
  assert.equal(descriptors(), before)
})
