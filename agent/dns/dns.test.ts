import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { type Answer, decode, encode, type Packet, streamEncode } from 'dns-packet'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import type { EndpointPort } from '#api/types/discovery-v1.gen.ts'
import { openDns } from './dns.ts'
import { nameservers } from './resolv-conf.ts'
import { a, addService, addSlice, ask, opt, serverFor, upstream } from './server.fixture.ts'

const run = promisify(execFile)
const ready = { ready: true }

test('a service with an address: A, SRV, PTR, and nothing else', async (t) => {
  const { dns, dig, status } = await serverFor(t)
  addService(dns, 'web', {
    clusterIP: '10.43.1.2',
    clusterIPs: ['10.43.1.2'],
    ports: [
      { name: 'http', port: 80 },
      { name: 'dns', port: 53, protocol: 'UDP' },
    ],
  })
  assert.deepEqual(await dig('web.default.svc.cluster.local'), ['10.43.1.2'])
  assert.deepEqual(await dig('+tcp', 'web.default.svc.cluster.local'), ['10.43.1.2'])
  assert.deepEqual(await dig('SRV', '_http._tcp.web.default.svc.cluster.local'), ['0 100 80 web.default.svc.cluster.local.'])
  assert.deepEqual(await dig('SRV', '_dns._udp.web.default.svc.cluster.local'), ['0 100 53 web.default.svc.cluster.local.'])
  assert.deepEqual(await dig('-x', '10.43.1.2'), ['web.default.svc.cluster.local.'])
  assert.deepEqual(await dig('TXT', 'dns-version.cluster.local'), ['"1.1.0"'])
  assert.deepEqual(await dig('NS', 'cluster.local'), ['ns.dns.cluster.local.'])
  assert.deepEqual(await dig('ns.dns.cluster.local'), ['127.0.0.1'])

  for (const [name, type] of [
    ['web.default.svc.cluster.local', 'AAAA'],
    ['web.default.svc.cluster.local', 'MX'],
    ['_tcp.web.default.svc.cluster.local', 'A'],
    ['_http._tcp.web.default.svc.cluster.local', 'A'],
    ['default.svc.cluster.local', 'A'],
    ['svc.cluster.local', 'A'],
    ['cluster.local', 'A'],
    ['2.1.43.10.in-addr.arpa', 'A'],
  ]) {
    assert.equal(await status(name!, type!), 'NOERROR 0 SOA', `${name} ${type}`)
  }
  for (const name of [
    'nothing.default.svc.cluster.local',
    'web.nowhere.svc.cluster.local',
    'nowhere.svc.cluster.local',
    'x.web.default.svc.cluster.local',
    '_ftp._tcp.web.default.svc.cluster.local',
    '_http._udp.web.default.svc.cluster.local',
    'web.default.cluster.local',
    '9.9.43.10.in-addr.arpa',
  ]) {
    assert.equal(await status(name), 'NXDOMAIN 0 SOA', name)
  }
  dns.serviceChanged({ namespace: 'default', name: 'web' }, undefined)
  assert.equal(await status('web.default.svc.cluster.local'), 'NXDOMAIN 0 SOA')
  assert.equal(await status('-x', '10.43.1.2'), 'NXDOMAIN 0 SOA')
})

test('a dual-stack service', async (t) => {
  const { dns, dig } = await serverFor(t)
  addService(dns, 'web', { clusterIP: '10.43.1.2', clusterIPs: ['10.43.1.2', 'fd00::43:2'] })
  assert.deepEqual(await dig('web.default.svc.cluster.local', 'A', 'web.default.svc.cluster.local', 'AAAA'), ['10.43.1.2', 'fd00::43:2'])
  assert.deepEqual(await dig('-x', 'fd00::43:2'), ['web.default.svc.cluster.local.'])
})

test('a headless service: its ready endpoints, by hostname or address, following every change', async (t) => {
  const { dns, dig, status } = await serverFor(t)
  const name = 'db.default.svc.cluster.local'
  const port = [{ name: 'sql', port: 5432, protocol: 'TCP' }] as EndpointPort[]
  addService(dns, 'db', { clusterIP: 'None', clusterIPs: ['None'] })
  assert.equal(await status(name), 'NOERROR 0 SOA')
  addSlice(
    dns,
    'db',
    'db-1',
    [
      { addresses: ['10.42.0.5'], conditions: ready, hostname: 'db-0' },
      { addresses: ['10.42.0.6'], conditions: ready },
      { addresses: ['10.42.0.7'], conditions: { ready: false } },
    ],
    port,
  )
  addSlice(dns, 'db', 'db-2', [{ addresses: ['10.42.1.5'], conditions: {} }], port)
  addSlice(dns, 'db', 'db-6', [{ addresses: ['fd00::42:5'], conditions: ready, hostname: 'db-0' }], port)
  assert.deepEqual(await dig(name), ['10.42.0.5', '10.42.0.6', '10.42.1.5'])
  assert.deepEqual(await dig('AAAA', name), ['fd00::42:5'])
  assert.deepEqual(await dig(`db-0.${name}`), ['10.42.0.5'])
  assert.deepEqual(await dig(`10-42-0-6.${name}`), ['10.42.0.6'])
  assert.deepEqual(await dig('SRV', `_sql._tcp.${name}`), [
    `0 33 5432 10-42-0-6.${name}.`,
    `0 33 5432 10-42-1-5.${name}.`,
    `0 33 5432 db-0.${name}.`,
  ])
  assert.deepEqual(await dig('-x', '10.42.0.5'), [`db-0.${name}.`])
  assert.equal(await status('-x', '10.42.0.7'), 'NXDOMAIN 0 SOA')

  addSlice(dns, 'db', 'db-1', [{ addresses: ['10.42.0.7'], conditions: ready, hostname: 'db-0' }], port)
  assert.deepEqual(await dig(name), ['10.42.0.7', '10.42.1.5'])
  assert.equal(await status('-x', '10.42.0.5'), 'NXDOMAIN 0 SOA')
  dns.sliceChanged({ namespace: 'default', name: 'db-2' }, undefined)
  assert.deepEqual(await dig(name), ['10.42.0.7'])
  dns.serviceChanged({ namespace: 'default', name: 'db' }, undefined)
  assert.equal(await status(name), 'NXDOMAIN 0 SOA')
  addService(dns, 'db', { clusterIP: 'None' })
  assert.deepEqual(await dig(name), ['10.42.0.7'], 'slices may be heard of before their service')
})

test('addresses come in any order, and truncated where they do not fit', async (t) => {
  const { dns, dig, ask } = await serverFor(t)
  addService(dns, 'db', { clusterIP: 'None' })
  const all = Array.from({ length: 100 }, (_, at) => `10.42.0.${at + 1}`)
  addSlice(
    dns,
    'db',
    'db-1',
    all.map((address) => ({ addresses: [address], conditions: ready })),
  )
  const question = { type: 'A', name: 'db.default.svc.cluster.local' } as const
  const first = new Set<unknown>()
  for (let times = 0; times < 20; times++)
    first.add(
      (await ask({ type: 'query', id: times, questions: [question] })).answers![0]!.name +
        JSON.stringify((await ask({ questions: [question] })).answers![0]),
    )
  assert.ok(first.size > 5)
  const small = await ask({ questions: [question] })
  assert.ok(small.flag_tc && small.size <= 512 && small.answers!.length > 25)
  const larger = await ask({ questions: [question], additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096 } as Answer] })
  assert.ok(larger.flag_tc && larger.size <= 1232 && larger.answers!.length > 70)
  assert.equal((await dig('+tcp', question.name)).length, 100)
  assert.deepEqual((await dig(question.name)).sort(), all.sort(), 'dig goes on by TCP')
})

test('pod names, and names in any case with the case kept', async (t) => {
  const { dns, dig, status, ask } = await serverFor(t)
  assert.deepEqual(await dig('10-42-3-4.default.pod.cluster.local'), ['10.42.3.4'])
  assert.deepEqual(await dig('AAAA', 'fd00--42-5.default.pod.cluster.local'), ['fd00::42:5'])
  assert.equal(await status('10-42-3.default.pod.cluster.local'), 'NXDOMAIN 0 SOA')
  addService(dns, 'web', { clusterIP: '10.43.1.2' })
  for (const name of ['WeB.Default.SVC.cluster.LOCAL', 'web.default.svc.cluster.local']) {
    const answer = await ask({ id: 77, flags: 0x100, questions: [{ type: 'A', name }] })
    assert.deepEqual([answer.id, answer.flag_aa, answer.flag_rd, answer.flag_ra], [77, true, true, true])
    assert.equal(answer.questions![0]!.name, name)
    assert.deepEqual(answer.answers, [{ name, type: 'A', class: 'IN', ttl: 5, flush: false, data: '10.43.1.2' }])
    assert.equal(answer.additionals!.length, 0)
  }
})

test('before everything is known nothing is denied', async (t) => {
  const dns = await openDns({
    addresses: ['127.0.0.1'],
    port: 0,
    domain: 'cluster.local',
    cidrs: [],
    upstream: [],
    clock: systemClock,
    random: Math.random,
    log: silent,
  })
  t.after(() => dns.close())
  addService(dns, 'web', { clusterIP: '10.43.1.2' })
  const status = (name: string) => ask(dns.port, encode({ questions: [{ type: 'A', name }] }))
  assert.equal((await status('web.default.svc.cluster.local')).answers!.length, 1)
  assert.equal((await status('x.default.svc.cluster.local')).rcode, 'SERVFAIL')
  dns.synced()
  assert.equal((await status('x.default.svc.cluster.local')).rcode, 'NXDOMAIN')
})

test('other names are asked upstream, once, and remembered with their time running out', async (t) => {
  const one = await upstream(t, ({ name }) => ({ answers: [a(name, '192.0.2.1'), a(name, '192.0.2.2', 100)], additionals: [opt] }))
  let now = 0
  const { dns, dig, ask } = await serverFor(t, { upstream: [one.server], clock: { ...systemClock, monotonic: () => now } })
  const question = { questions: [{ type: 'A', name: 'example.com' }] } as Packet
  const answers = await Promise.all([ask(question), ask(question), ask({ ...question, additionals: [opt] })])
  assert.deepEqual(one.asked, ['example.com A'])
  assert.deepEqual(
    answers.map(({ answers, additionals, flag_aa }) => [answers!.length, additionals!.length, flag_aa]),
    [
      [2, 0, false],
      [2, 0, false],
      [2, 1, false],
    ],
  )
  now = 59_000
  assert.deepEqual(
    (await ask(question)).answers!.map((answer) => (answer as { ttl: number }).ttl),
    [1, 41],
  )
  assert.equal(one.asked.length, 1)
  now = 60_000
  assert.deepEqual(await dig('EXAMPLE.com'), ['192.0.2.1', '192.0.2.2'])
  assert.equal(one.asked.length, 2)

  addService(dns, 'out', { type: 'ExternalName', externalName: 'example.com' })
  addService(dns, 'chain', { type: 'ExternalName', externalName: 'web.default.svc.cluster.local' })
  addService(dns, 'loop', { type: 'ExternalName', externalName: 'loop.default.svc.cluster.local' })
  addService(dns, 'web', { clusterIP: '10.43.1.2' })
  assert.deepEqual(await dig('out.default.svc.cluster.local'), ['192.0.2.1', '192.0.2.2', 'example.com.'])
  assert.deepEqual(await dig('CNAME', 'out.default.svc.cluster.local'), ['example.com.'])
  assert.deepEqual(await dig('chain.default.svc.cluster.local'), ['10.43.1.2', 'web.default.svc.cluster.local.'])
  assert.ok((await dig('loop.default.svc.cluster.local')).length > 0)
  const before = one.asked.length
  await dig('nothing.cluster.local', 'nothing.default.svc.CLUSTER.local', '-x', '10.42.9.9', '-x', '10.43.9.9')
  assert.equal(one.asked.length, before, "the cluster's names go nowhere")
})

test('that there is nothing is remembered as long as the SOA allows', async (t) => {
  const soa = {
    type: 'SOA',
    name: 'com',
    ttl: 900,
    data: { mname: 'ns.com', rname: 'x.com', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 7 },
  } as Answer
  const one = await upstream(t, ({ name }) => ({ flags: name.startsWith('no') ? 3 : 0, authorities: [soa], additionals: [opt] }))
  let now = 0
  const { status } = await serverFor(t, { upstream: [one.server], clock: { ...systemClock, monotonic: () => now } })
  assert.equal(await status('no.example.com'), 'NXDOMAIN 0 SOA')
  assert.equal(await status('other.example.com'), 'NOERROR 0 SOA')
  now = 6_999
  assert.equal(await status('no.example.com'), 'NXDOMAIN 0 SOA')
  assert.equal(one.asked.length, 2)
  now = 7_000
  await status('no.example.com')
  assert.equal(one.asked.length, 3)
})

test('a server that is silent, refuses or lies is passed over', async (t) => {
  const silentOne = await upstream(t, () => undefined)
  const refusing = await upstream(t, () => ({ flags: 5 }))
  const lying = await upstream(t, ({ name }, message) => {
    const { id } = decode(message)
    return encode({ type: 'response', id: id! ^ 1, questions: [{ type: 'A', name }], answers: [a(name, '6.6.6.6')] })
  })
  const other = await upstream(t, ({ type }) => ({
    questions: [{ type: type as 'A', name: 'evil.com' }],
    answers: [a('evil.com', '6.6.6.6')],
  }))
  const broken = await upstream(t, (_, message) =>
    Buffer.concat([message.subarray(0, 2), Buffer.from([0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0]), message.subarray(12)]),
  )
  const good = await upstream(t, ({ name }) => ({ answers: [a(name, '192.0.2.9')] }))
  const { dig, status } = await serverFor(t, {
    upstream: ['127.0.0.1#1', silentOne.server, refusing.server, lying.server, other.server, broken.server, good.server],
    timeoutMillis: 100,
  })
  assert.deepEqual(await dig('example.com'), ['192.0.2.9'])
  assert.deepEqual(await dig('example.org'), ['192.0.2.9'])
  assert.equal(silentOne.asked.length, 1, 'the second time the one that works is asked first')
  const nobody = await serverFor(t)
  assert.equal(await nobody.status('example.com'), 'SERVFAIL 0')
  assert.equal(await status('-c', 'CH', 'version.bind', 'TXT'), 'REFUSED 0')
})

test('an upstream answer too large for a datagram comes by TCP', async (t) => {
  const many = Array.from({ length: 60 }, (_, at) => a('big.example.com', `192.0.2.${at}`))
  const one = await upstream(
    t,
    () => ({ flags: 0x200 }),
    () => ({ answers: many }),
  )
  const { dig } = await serverFor(t, { upstream: [one.server] })
  assert.equal((await dig('big.example.com')).length, 60)
})

test('hostile packets change nothing', async (t) => {
  const { dns, dig } = await serverFor(t)
  addService(dns, 'web', { clusterIP: '10.43.1.2' })
  const valid = encode({ questions: [{ type: 'A', name: 'web.default.svc.cluster.local' }], additionals: [opt] })
  const socket = createSocket('udp4')
  const packets: Buffer[] = [
    Buffer.alloc(0),
    Buffer.alloc(12),
    Buffer.alloc(12, 0xff),
    Buffer.from('00000000000100000000000003', 'hex'),
    Buffer.from('000000000001000000000000c00c00010001', 'hex'),
  ]
  for (let length = 0; length < valid.length; length++) packets.push(valid.subarray(0, length))
  for (let at = 0; at < valid.length; at++)
    for (const bit of [1, 0x40, 0x80]) packets.push(Buffer.from(valid).fill(valid[at]! ^ bit, at, at + 1))
  for (let times = 0; times < 300; times++)
    packets.push(randomBytes(times), Buffer.concat([Buffer.from('000001000001000000000001', 'hex'), randomBytes(times)]))
  for (const packet of packets) await new Promise((resolve) => socket.send(packet, dns.port, '127.0.0.1', resolve))
  socket.close()
  for (const packet of packets.slice(0, 50)) {
    const tcp = connect(dns.port, '127.0.0.1')
    tcp.on('error', () => {})
    await once(tcp, 'connect')
    tcp.end(packet)
  }
  assert.deepEqual(await dig('web.default.svc.cluster.local'), ['10.43.1.2'])
  assert.deepEqual(await dig('+tcp', 'web.default.svc.cluster.local'), ['10.43.1.2'])
  const two = Buffer.from(valid)
  two.writeUInt16BE(2, 4)
  assert.equal((await ask(dns.port, two)).rcode, 'FORMERR')
  const { stdout } = await run('dig', ['@127.0.0.1', '-p', `${dns.port}`, '+edns=1', '+noednsnegotiation', 'x'])
  assert.match(stdout, /status: BADVERS/)
  const update = await run('dig', ['@127.0.0.1', '-p', `${dns.port}`, '+opcode=5', 'x'])
  assert.match(update.stdout, /status: NOTIMP/)
})

test('several queries on one connection, split anywhere', async (t) => {
  const { dns } = await serverFor(t)
  addService(dns, 'web', { clusterIP: '10.43.1.2' })
  const socket = connect(dns.port, '127.0.0.1')
  const bytes = Buffer.concat(
    [1, 2, 3].map((id) => streamEncode({ id, questions: [{ type: 'A', name: 'web.default.svc.cluster.local' }] })),
  )
  for (const byte of bytes) socket.write(Buffer.from([byte]))
  let received = Buffer.alloc(0)
  const ids: number[] = []
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer])
    while (received.length > 2 && received.length >= 2 + received.readUInt16BE(0)) {
      ids.push(received.readUInt16BE(2))
      received = received.subarray(2 + received.readUInt16BE(0))
    }
    if (ids.length === 3) break
  }
  assert.deepEqual(ids, [1, 2, 3])
})

test("upstreams come from the host's resolv.conf, followed as it changes", async (t) => {
  assert.deepEqual(
    nameservers(
      '# x\nnameserver 10.0.0.1\n nameserver\t10.43.0.10 # me\nnameserver fe80::1%eth0\nsearch a\nnameserver nonsense\nnameserver 10.0.0.1\n',
      ['10.43.0.10'],
    ),
    ['10.0.0.1', 'fe80::1%eth0'],
  )
  const dir = mkdtempSync(join(tmpdir(), 'coracle-dns-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'resolv.conf')
  const one = createSocket('udp4')
  const two = createSocket('udp4')
  t.after(() => [one, two].map((socket) => socket.close()))
  // Port 53 on loopback addresses of our own: no one else's.
  for (const [socket, address, data] of [
    [one, '127.53.0.1', '192.0.2.1'],
    [two, '127.53.0.2', '192.0.2.2'],
  ] as const) {
    socket.bind(53, address)
    await once(socket, 'listening')
    socket.on('message', (message, from) => {
      const { id, questions } = decode(message)
      socket.send(encode({ type: 'response', id, questions, answers: [a(questions![0]!.name, data)] }), from.port, from.address)
    })
  }
  writeFileSync(file, 'nameserver 127.53.0.1\n')
  let now = 0
  const { dig } = await serverFor(t, { upstream: { file }, clock: { ...systemClock, monotonic: () => now } })
  assert.deepEqual(await dig('a.example'), ['192.0.2.1'])
  writeFileSync(file, 'nameserver 127.53.0.2 \n')
  now = 5000
  assert.deepEqual(await dig('b.example'), ['192.0.2.2'])
})

test('closing frees the port, twice is once, and a taken port is refused', async (t) => {
  const { dns } = await serverFor(t)
  await assert.rejects(serverFor(t, { port: dns.port }), { code: 'EADDRINUSE' })
  await dns.close()
  await dns.close()
  const again = createServer().listen(dns.port, '127.0.0.1')
  await once(again, 'listening')
  assert.equal((again.address() as AddressInfo).port, dns.port)
  again.close()
})
