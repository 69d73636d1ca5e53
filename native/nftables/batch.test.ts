import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { encodeBatch } from './batch.ts'
import { inTable } from './command.ts'
import { Elements } from './elements.ts'
import type { SetSpec } from './set.ts'
import * as s from './statement.ts'

const t = inTable({ family: 'ip', name: 'golden' })
const key = ['ip daddr', 'meta l4proto', 'th dport'] as const
const cluster: SetSpec = { name: 'cluster', key: ['ipv4_addr'], flags: ['interval', 'timeout'], timeoutMs: 10_000 }
const services: SetSpec = { name: 'services', key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: 'verdict' }
const backends: SetSpec = { name: 'backends', key: [...key, 'numgen random mod 1'], data: ['ip daddr', 'th dport'] }
const ports: SetSpec = { name: 'ports', key: ['inet_service'], data: ['mark'], size: 64 }

// golden/NAME.hex is what nft 1.0.6 sends for golden/NAME.nft, a message to a line.
const sameAsNft = (name: string, commands: Parameters<typeof encodeBatch>[0]) => {
  const { datagram, messages } = encodeBatch(commands, 0)
  const lines = messages.map(({ at }, i) => Buffer.from(datagram.subarray(at, messages[i + 1]?.at)).toString('hex'))
  const golden = readFileSync(new URL(`golden/${name}.hex`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
  for (const [i, line] of lines.entries()) assert.equal(line, golden[i], `message ${i}`)
  assert.equal(lines.length, golden.length)
}

test('a transaction is byte for byte the one that nft sends', () => {
  sameAsNft('transaction', [
    t.add(),
    t.addChain({ name: 'lb-1' }),
    t.addChain({ name: 'pre', base: { type: 'nat', hook: 'prerouting', priority: -100 } }),
    t.addChain({ name: 'fwd-1', base: { type: 'filter', hook: 'forward', priority: -5, policy: 'drop' } }),
    t.addChain({ name: 'post', base: { type: 'nat', hook: 'postrouting', priority: 100 } }),
    t.addChain({ name: 'lb-2' }),
    t.addSet(cluster),
    t.addSet(services),
    t.addElements(new Elements(services).add(['10.43.0.1', 'tcp', 443], 'goto lb-1')),
    t.addSet(backends),
    t.addElements(new Elements(backends).add(['10.43.0.1', 'tcp', 443, 0], ['10.42.0.5', 6443])),
    t.addSet(ports),
    t.addElements(new Elements(ports).add([80], [1])),
    t.addRule('lb-1', s.rule(s.dnat('ip', s.lookup([...key, 'numgen random mod 1'], 'backends')))),
    t.addRule(
      'pre',
      s.rule(s.match('fib daddr type', 'local'), s.match('ip daddr', '!=', '127.0.0.0/8'), s.counter(), s.vmap(key, 'services')),
    ),
    t.addRule('fwd-1', s.rule(s.match('ct state', 'new'), s.match('meta l4proto', 'tcp'), s.reject('ip', 'tcp reset'))),
    t.addRule('fwd-1', s.commented('no', s.rule(s.match('iifname', 'cor*'), s.match('oifname', 'eth0'), s.reject('ip')))),
    t.addRule('fwd-1', s.rule(s.match('ip saddr', '10.0.0.0/9'), s.match('ip daddr', '!=', '@cluster'), s.goto('lb-2'))),
    t.addRule('post', s.rule(s.match('meta mark', 0x4000), s.masquerade('fully-random'))),
    t.addRule('post', s.rule(s.match('ct status', 'dnat'), s.match('ip saddr', '1.2.3.4'), s.masquerade())),
    t.addRule('lb-2', s.rule(s.drop)),
  ])
})

test('objects, flowtables and what refers to them too', () => {
  const policy = { established: 100, close_wait: 4 }
  sameAsNft('objects', [
    t.add(),
    t.addChain({ name: 'filter-1', base: { type: 'filter', hook: 'forward', priority: 0 } }),
    t.addObject({ kind: 'counter', name: 'hits', packets: 5n, bytes: 700n }),
    t.addObject({ kind: 'quota', name: 'month', bytes: 25n << 20n, used: 20n, over: true }),
    t.addObject({ kind: 'limit', name: 'slow', rate: 400, per: 'minute', burst: 9, over: true }),
    t.addObject({ kind: 'limit', name: 'wide', rate: 2048, per: 'second', unit: 'bytes', burst: 512 }),
    t.addObject({ kind: 'ct helper', name: 'ftp', helper: 'ftp', protocol: 'tcp' }),
    t.addObject({ kind: 'ct timeout', name: 'short', protocol: 'tcp', seconds: policy }),
    // nft sends devices in the order of its hash table.
    t.addFlowtable({ name: 'fast', priority: 0, devices: ['eth1', 'eth0'], flags: ['offload'] }),
    t.addRule(
      'filter-1',
      s.rule(
        s.object('counter', 'hits'),
        s.object('quota', 'month'),
        s.object('limit', 'slow'),
        s.object('ct helper', 'ftp'),
        s.object('ct timeout', 'short'),
      ),
    ),
    t.addRule(
      'filter-1',
      s.rule(s.limit({ rate: 5, per: 'second', burst: 7 }), s.quota({ bytes: 1234n, over: true }), s.verdict('accept')),
    ),
    t.addRule('filter-1', s.rule(s.flowAdd('fast'))),
  ])
  assert.throws(() => encodeBatch([t.addObject({ kind: 'ct timeout', name: 'x', protocol: 'udp', seconds: policy })], 0), TypeError)
})
