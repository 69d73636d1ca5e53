import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { addAddress, addVeth, connectInNetns, openRtnetlink, setLink } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { bandwidthOf, bucketOf, openLimiter } from './bandwidth.ts'
import { cleanupNetwork } from './cleanup.ts'
import { ifbName, vethName } from './names.ts'

const run = promisify(execFile)

test('annotations are read as Kubernetes reads them', () => {
  const of = (ingress: string, egress?: string) =>
    bandwidthOf({ 'kubernetes.io/ingress-bandwidth': ingress, ...(egress !== undefined && { 'kubernetes.io/egress-bandwidth': egress }) })
  assert.deepEqual(bandwidthOf(), {})
  assert.deepEqual(of('1M'), { ingress: 1_000_000 })
  assert.deepEqual(of('1k', '10Mi'), { ingress: 1_000, egress: 10_485_760 })
  assert.deepEqual(of('1P'), { ingress: 1e15 })
  const small = /^Error: annotation kubernetes\.io\/ingress-bandwidth: 999 is unreasonably small/
  assert.throws(() => of('999'), small)
  assert.throws(() => of('1k', '-5'), /annotation kubernetes\.io\/egress-bandwidth: -5 is unreasonably small/)
  assert.throws(() => of('1001T'), /unreasonably large/)
  assert.throws(() => of('1P', '2P'), /egress-bandwidth: 2P is unreasonably large/)
  for (const text of ['fast', '', '10Mbit']) assert.throws(() => of(text), /is no quantity of bits a second/)
})

test('a bucket holds whole packets, and no more than the kernel counts', () => {
  assert.deepEqual(bucketOf(1_000), { rate: 125, burst: 4_096, limit: 8_192 })
  assert.deepEqual(bucketOf(80_000_000), { rate: 10_000_000, burst: 200_000, limit: 700_000 })
  assert.deepEqual(bucketOf(1e15), { rate: 125e12, burst: 0x7fff_ffff, limit: 0x7fff_ffff })
})

test('a real transfer keeps to the limits in both directions, which an agent finds again and cleanup removes', {
  skip: needsRoot,
}, async (t) => {
  const [host, pod] = [await freshNetns(t), await freshNetns(t)]
  const inside = async (netns: string, ...command: string[]) => (await run('nsenter', [`--net=${netns}`, ...command])).stdout
  await using rt = await openRtnetlink({ netns: host })
  const name = vethName('a')
  const netns = await open(pod)
  await rt.run([addVeth({ name, peer: { name: 'eth0', netnsFd: netns.fd } }), setLink(name, { up: true })])
  await netns.close()
  await using there = await openRtnetlink({ netns: pod })
  await rt.run([addAddress({ link: (await rt.link(name))!.index, address: '192.0.2.1', prefix: 24 })])
  const eth0 = (await there.link('eth0'))!.index
  await there.run([addAddress({ link: eth0, address: '192.0.2.2', prefix: 24 }), setLink(eth0, { up: true })])
  const before = await inside(host, 'sh', '-c', 'ip -o link; tc qdisc')

  /** Bytes a second that a connection carries: enough of them that the first burst does not count. */
  const rate = async (from: string, to: string, address: string, bytes: number): Promise<number> => {
    const child = run('nsenter', [`--net=${to}`, 'sh', '-c', 'busybox nc -l -p 9000 >/dev/null </dev/null'])
    child.catch(() => {})
    let fd: number | undefined
    for (let attempt = 0; fd === undefined; attempt++) {
      fd = await connectInNetns({ netns: from, host: address, port: 9000 }).catch((error: unknown) => {
        if (attempt > 2_000) throw error
        return undefined
      })
    }
    const socket = new Socket({ fd })
    const start = performance.now()
    const { promise, resolve } = Promise.withResolvers<void>()
    socket.on('close', () => resolve()).resume()
    socket.end(Buffer.alloc(bytes))
    await promise
    await child
    return bytes / ((performance.now() - start) / 1000)
  }

  const limiter = await openLimiter({ netns: host })
  await limiter.limit('a', {})
  assert.equal(await inside(host, 'sh', '-c', 'ip -o link; tc qdisc'), before)
  const unlimited = await rate(host, pod, '192.0.2.2', 4_000_000)
  assert(unlimited > 20_000_000, `${unlimited}`)

  const [ingress, egress] = [8_000_000, 16_000_000]
  await limiter.limit('a', { ingress, egress })
  await limiter.limit('a', { ingress, egress })
  const received = await rate(host, pod, '192.0.2.2', ingress / 8 / 2)
  const sent = await rate(pod, host, '192.0.2.1', egress / 8 / 2)
  t.diagnostic(`of the limit, received ${((received * 8) / ingress).toFixed(2)}, sent ${((sent * 8) / egress).toFixed(2)}`)
  for (const ratio of [(received * 8) / ingress, (sent * 8) / egress]) assert(ratio > 0.6 && ratio < 1.15, `${ratio}`)
  limiter.close()

  // The pod goes while no agent is there.
  const again = await openLimiter({ netns: host })
  assert.ok(await rt.link(ifbName('a')))
  again.close()
  await inside(host, 'ip', 'link', 'delete', name)
  const later = await openLimiter({ netns: host })
  assert.equal(await rt.link(ifbName('a')), undefined)
  await later.release('a')
  await assert.rejects(later.limit('a', { egress }), { code: 'ENODEV' })
  later.close()
  await rt.run([addVeth({ name, peer: { name: 'other' } })])
  const last = await openLimiter({ netns: host })
  await last.limit('a', { egress })
  last.close()
  const dataDir = await mkdtemp(join(tmpdir(), 'agent-'))
  t.after(() => rm(dataDir, { recursive: true }))
  await cleanupNetwork({ dataDir, netns: host })
  assert.deepEqual(
    (await rt.links()).map((link) => link.name),
    ['lo'],
  )
})
