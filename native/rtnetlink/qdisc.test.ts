import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import type { Command } from '../netlink/exchange.ts'
import { MessageWriter } from '../netlink/message.ts'
import { freshNetns, needsRoot } from '../testing/fresh-netns.ts'
import { addIfb, addVeth, deleteLink } from './link.ts'
import { addIngress, deleteQdisc, redirectIngress, replaceTokenBucket } from './qdisc.ts'
import { openRtnetlink } from './rtnetlink.ts'

const golden = (command: Command, text: string) => {
  const w = new MessageWriter()
  command.write(w)
  assert.equal(Buffer.from(w.bytes()).toString('hex'), text.replaceAll(/#.*|\s/g, ''))
}

test('queueing disciplines and filters have the bytes of linux/pkt_sched.h', () => {
  golden(
    replaceTokenBucket(5, { rate: 125_000, burst: 4_096, limit: 7_221 }),
    `00000000 05000000 00000000 ffffffff 00000000
     0800 0100 74626600
     3400 0280
       2800 0100 00010000 0000 0000 48e80100  000000000000000000000000 351c0000 00000000 00000000
       0800 0600 00100000`,
  )
  golden(addIngress(5), `00000000 05000000 0000ffff f1ffffff 00000000 0c00 0100 696e677265737300`)
  golden(
    redirectIngress(5, 7),
    `00000000 05000000 00080080 0000ffff 00030100
     0800 0100 75333200
     6000 0280
       2400 0500 01000100 00000000 00000000 00000000 00000000 00000000 00000000 00000000
       3800 0780
         3400 0180
           0b00 0100 6d697272656400 00
           2400 0280
             2000 0200 00000000 00000000 04000000 00000000 00000000 01000000 07000000`,
  )
})

test('the kernel has them as tc makes them', { skip: needsRoot }, async (t) => {
  const netns = await freshNetns(t)
  await using rt = await openRtnetlink({ netns })
  const tc = (...args: string[]) => execFileSync('nsenter', [`--net=${netns}`, 'tc', ...args], { encoding: 'utf8' })
  await rt.run([
    addVeth({ name: 'ours', peer: { name: 'ours-peer' } }),
    addVeth({ name: 'theirs', peer: { name: 'theirs-peer' } }),
    addIfb({ name: 'ifb-ours', up: true }),
  ])
  const link = async (name: string) => (await rt.link(name))!.index
  const [ours, ifb] = [await link('ours'), await link('ifb-ours')]
  const shown = (...args: string[]) => tc(...args).replaceAll(/qdisc tbf \w+:|parent \w+:|index \d+/g, '')

  for (const [rate, burst, limit] of [
    [125, 4_096, 4_099],
    [1_250_000, 62_500, 93_750],
    [12_500_000_000, 625_000_000, 937_500_000],
  ] as const) {
    await rt.run([replaceTokenBucket(ours, { rate, burst, limit })])
    tc('qdisc', 'replace', 'dev', 'theirs', 'root', 'tbf', 'rate', `${rate * 8}bit`, 'burst', `${burst}b`, 'limit', `${limit}b`)
    assert.equal(shown('qdisc', 'show', 'dev', 'ours', 'root'), shown('qdisc', 'show', 'dev', 'theirs', 'root'))
  }
  assert.match(tc('qdisc', 'show', 'dev', 'ours', 'root'), /rate 100Gbit/)

  await rt.run([addIngress(ours), redirectIngress(ours, ifb)])
  tc('qdisc', 'add', 'dev', 'theirs', 'ingress')
  tc(...'filter add dev theirs parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred egress redirect dev ifb-ours'.split(' '))
  assert.equal(shown('filter', 'show', 'dev', 'ours', 'ingress'), shown('filter', 'show', 'dev', 'theirs', 'ingress'))
  await assert.rejects(rt.run([addIngress(ours)]), { code: 'EEXIST' })
  await assert.rejects(rt.run([redirectIngress(ours, ifb)]), { code: 'EEXIST' })

  await rt.run([deleteQdisc(ours, 'root'), deleteQdisc(ours, 'ingress')])
  assert.doesNotMatch(tc('qdisc', 'show', 'dev', 'ours'), /tbf|ingress/)
  await rt.run([deleteLink('ifb-ours')])
})
