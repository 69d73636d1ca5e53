import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { freshNetns, needsRoot } from '../testing/fresh-netns.ts'
import { openConntrack } from './conntrack.ts'

// Flows to addresses that nft translates; nothing needs to listen for an entry to appear.
const flows = `
const { createSocket } = require('node:dgram')
const send = async (port, to) => {
  const socket = createSocket('udp4')
  await new Promise((resolve) => socket.bind(port, '127.0.0.1', resolve))
  await new Promise((resolve) => socket.send('x', 53, to, resolve))
  socket.close()
}
;(async () => { await send(4001, '127.0.43.10'); await send(4002, '127.0.43.10'); await send(4003, '127.0.43.11') })()`

test('entries are found and deleted by what was asked for and by who answers', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const inside = (...command: string[]) => execFileSync('nsenter', [`--net=${netns}`, ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  inside(
    'nft',
    `table ip t { chain o { type nat hook output priority -100;
      ip daddr 127.0.43.10 udp sport 4001 dnat to 127.0.0.9:5353;
      ip daddr 127.0.43.10 udp sport 4002 dnat to 127.0.0.8:5353
    }
    }`,
  )
  inside(process.execPath, '-e', flows)
  const conntrack = await openConntrack({ netns })
  t.after(() => conntrack.close())

  const toService = await conntrack.list({ protocol: 'udp', original: { destination: '127.0.43.10', destinationPort: 53 } })
  assert.deepEqual(
    new Set(toService.map(({ original, reply }) => `${original.sourcePort} ${reply.source}:${reply.sourcePort}`)),
    new Set(['4001 127.0.0.9:5353', '4002 127.0.0.8:5353']),
  )
  const answered = { protocol: 'udp', original: { destination: '127.0.43.10' }, reply: { source: '127.0.0.9', sourcePort: 5353 } } as const
  assert.equal(await conntrack.remove(answered), 1)
  assert.equal(await conntrack.remove(answered), 0)
  const left = await conntrack.list({ protocol: 'udp' })
  assert.deepEqual(new Set(left.map(({ original }) => original.sourcePort)), new Set([4002, 4003]))
  assert.deepEqual(await conntrack.list({ protocol: 'tcp' }), [])
  assert.equal(await conntrack.remove({ original: { destination: '127.0.43.10' } }, { original: { destination: '127.0.43.11' } }), 2)
})

test('of IPv6 and of ping too', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  const inside = (...command: string[]) => execFileSync('nsenter', [`--net=${netns}`, ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
  inside('ip', 'addr', 'add', 'fd00::43', 'dev', 'lo', 'nodad')
  inside('nft', 'table ip6 t { chain o { type nat hook output priority -100; ip6 daddr fd00::43 udp dport 53 dnat to [::1]:5353; }\n }')
  inside('nft', 'table ip t { chain o { type filter hook output priority 0; ct state new counter; }\n }')
  inside(
    process.execPath,
    '-e',
    flows.replace('udp4', 'udp6').replaceAll('127.0.0.1', '::1').replaceAll('127.0.43.10', 'fd00::43').replace('127.0.43.11', '::1'),
  )
  inside('busybox', 'ping', '-c1', '-q', '127.0.0.1')
  inside('busybox', 'ping6', '-c1', '-q', '::1')
  await using conntrack = await openConntrack({ netns })
  const translated = { protocol: 'udp', original: { destination: 'fd00::43' }, reply: { source: '::1', sourcePort: 5353 } } as const
  assert.deepEqual(
    (await conntrack.list(translated)).map(({ original }) => original.sourcePort).toSorted((a, b) => a - b),
    [4001, 4002],
  )
  assert.equal(await conntrack.remove(translated), 2)
  assert.deepEqual(
    (await conntrack.list({ protocol: 'udp' })).map(({ original }) => original.sourcePort),
    [4003],
  )
  for (const [protocol, type] of [
    ['icmp', 8],
    ['ipv6-icmp', 128],
  ] as const) {
    const echos = (await conntrack.list({ protocol })).filter(({ original }) => original.echo?.type === type)
    assert.equal(echos.length, 1)
    assert((await conntrack.remove({ protocol })) > 0)
    assert.deepEqual(await conntrack.list({ protocol }), [])
  }
})
