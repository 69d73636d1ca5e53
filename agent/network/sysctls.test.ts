import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { readSysctl, writeSysctl } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { applySysctls, restoreSysctls } from './sysctls.ts'

const run = promisify(execFile)
const wanted = { 'net.ipv4.ip_forward': '1', 'net.ipv6.conf.all.forwarding': '1', 'net.ipv4.conf.all.send_redirects': '0' }

const place = async (t: TestContext) => {
  const netns = await freshNetns(t)
  const dir = await mkdtemp(join(tmpdir(), 'sysctls-'))
  t.after(() => rm(dir, { recursive: true }))
  const inside = async (script: string) => (await run('nsenter', [`--net=${netns}`, 'sh', '-ec', script])).stdout
  await inside('ip link add eth0 type veth peer name eth1')
  for (const [name, value] of Object.entries(wanted)) await writeSysctl(name, value === '1' ? '0' : '1', netns)
  return {
    netns,
    file: join(dir, 'sysctls.json'),
    inside,
    /** Every setting that the namespace has. */
    all: async () => (await inside('grep -r . /proc/sys/net/ipv4 /proc/sys/net/ipv6 2>/dev/null | sort || true')).split('\n'),
  }
}

/** Tells the lines that differ, of many. */
const same = (now: string[], before: string[]) =>
  assert.deepEqual(
    now.filter((line) => !before.includes(line)),
    before.filter((line) => !now.includes(line)),
  )

test('settings come back, with those that the kernel changed along with them', { skip: needsRoot }, async (t) => {
  const { all, ...where } = await place(t)
  // A host that forwards on one link only and takes no redirects: both are changed along with ip_forward.
  await writeSysctl('net/ipv4/conf/all/accept_redirects', '0', where.netns)
  await writeSysctl('net/ipv4/conf/eth1/forwarding', '1', where.netns)
  await writeSysctl('net/ipv6/conf/eth1/forwarding', '1', where.netns)
  const before = await all()
  await applySysctls(where, wanted)
  for (const [name, value] of Object.entries(wanted)) assert.equal(await readSysctl(name, where.netns), value)
  await applySysctls(where, wanted)
  await restoreSysctls(where)
  same(await all(), before)
  await assert.rejects(readFile(where.file), { code: 'ENOENT' })
  await restoreSysctls(where)
  same(await all(), before)
})

test('a crash between record and write, and links that are gone since, do no harm', { skip: needsRoot }, async (t) => {
  const { all, inside, ...where } = await place(t)
  const before = await all()
  await applySysctls(where, wanted)
  const record = await readFile(where.file, 'utf8')
  await restoreSysctls(where)
  await writeFile(where.file, record)
  await restoreSysctls(where)
  same(await all(), before)
  await applySysctls(where, wanted)
  await inside('ip link delete eth0')
  await restoreSysctls(where)
  assert.equal(await readSysctl('net.ipv4.ip_forward', where.netns), '0')
})

test('what somebody else set since is theirs', { skip: needsRoot }, async (t) => {
  const where = await place(t)
  const redirects = 'net/ipv4/conf/all/accept_redirects'
  await applySysctls(where, wanted)
  await writeSysctl('net.ipv6.conf.all.forwarding', '2', where.netns)
  await writeSysctl(redirects, '1', where.netns)
  await writeSysctl('net/ipv4/conf/eth0/forwarding', '0', where.netns)
  await restoreSysctls(where)
  assert.equal(await readSysctl('net.ipv6.conf.all.forwarding', where.netns), '2')
  assert.equal(await readSysctl(redirects, where.netns), '1')
  assert.equal(await readSysctl('net/ipv4/conf/eth0/forwarding', where.netns), '0')
  assert.equal(await readSysctl('net.ipv4.ip_forward', where.netns), '0')
})

test('half a record, as a power cut leaves it, is none', { skip: needsRoot }, async (t) => {
  const where = await place(t)
  await applySysctls(where, wanted)
  const whole = await readFile(where.file, 'utf8')
  await writeFile(where.file, whole.slice(0, whole.length / 2))
  await applySysctls(where, { ...wanted, 'net.ipv4.conf.all.accept_redirects': '0' })
  await writeFile(where.file, '')
  await restoreSysctls(where)
})

test('the record of an earlier boot is no record', { skip: needsRoot }, async (t) => {
  const where = await place(t)
  await writeFile(where.file, JSON.stringify({ boot: 'another', changes: { 'net.ipv4.ip_forward': { was: '0', set: '1' } } }))
  await writeSysctl('net.ipv4.ip_forward', '1', where.netns)
  await restoreSysctls(where)
  assert.equal(await readSysctl('net.ipv4.ip_forward', where.netns), '1')
})
