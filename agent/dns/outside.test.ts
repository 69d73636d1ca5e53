import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Packet } from 'dns-packet'
import { Registry } from 'prom-client'
import { fakeClock } from '#api/clock.fake.ts'
import { a, addService, addSlice, opt, serverFor, upstream } from './server.fixture.ts'

const question = (name: string, type = 'A') => ({ questions: [{ type, name }] }) as Packet
const ttls = ({ answers }: { answers?: unknown }) => (answers as { ttl: number }[]).map(({ ttl }) => ttl)

test('hosts that people have set are answered before anyone is asked, in both directions', async (t) => {
  const { dns, dig, status } = await serverFor(t)
  const hosts =
    '192.0.2.7 Printer.example.internal printer # upstairs\nfd00::7 printer.example.internal\n10.43.9.9 old.default.svc.cluster.local\n'
  assert.deepEqual(dns.configure({ hosts }), [])
  assert.deepEqual(await dig('printer.EXAMPLE.internal'), ['192.0.2.7'])
  assert.deepEqual(await dig('AAAA', 'printer.example.internal'), ['fd00::7'])
  assert.deepEqual(await dig('printer'), ['192.0.2.7'])
  assert.deepEqual(await dig('old.default.svc.cluster.local'), ['10.43.9.9'])
  assert.deepEqual(await dig('-x', '192.0.2.7'), ['printer.', 'printer.example.internal.'])
  assert.equal(await status('TXT', 'printer.example.internal'), 'NOERROR 0')
  addService(dns, 'out', { type: 'ExternalName', externalName: 'printer.example.internal' })
  assert.deepEqual(await dig('out.default.svc.cluster.local'), ['192.0.2.7', 'printer.example.internal.'])
  dns.configure(undefined)
  assert.deepEqual(await dig('printer.example.internal'), [])
  assert.equal(await status('old.default.svc.cluster.local'), 'NXDOMAIN 0 SOA')
})

test('a stub domain is asked of its own servers, the longest first; others of those set or of the host', async (t) => {
  const by = (address: string) => upstream(t, ({ name }) => ({ answers: [a(name, address)] }))
  const [host, inner, outer, set] = await Promise.all(['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'].map(by))
  const { dns, dig } = await serverFor(t, { upstream: [host!.server] })
  const stubDomains = JSON.stringify({ 'Example.internal': [outer!.server], 'deep.example.internal.': [inner!.server] })
  assert.deepEqual(dns.configure({ stubDomains }), [])
  assert.deepEqual(await dig('a.example.internal', 'b.deep.example.internal', 'myexample.internal'), [
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.3',
  ])
  dns.configure({ stubDomains, upstreamNameservers: JSON.stringify([set!.server]) })
  assert.deepEqual(await dig('a.example.internal', 'other.test'), ['192.0.2.3', '192.0.2.4'])
  assert.equal(outer!.asked.length, 1, 'what was known before is known still')
})

test('what is wrong with a setting is told, and the others hold', async (t) => {
  const { dns, dig } = await serverFor(t)
  const problems = dns.configure({
    hosts: 'nonsense name\n192.0.2.7\n192.0.2.8 good',
    stubDomains: '{"a.test": ["192.0.2.1#0"], "b.test": "x"}',
    upstreamNameservers: 'nonsense',
    other: 'ignored',
  })
  assert.deepEqual(problems, [
    'stubDomains: a.test: 192.0.2.1#0 is not address or address#port',
    'stubDomains: a.test: no name server',
    'stubDomains: b.test: no name server',
    'upstreamNameservers: not JSON of the kind that it has to be',
    'hosts: nonsense name: not an address and its names',
    'hosts: 192.0.2.7: not an address and its names',
  ])
  assert.deepEqual(await dig('good'), ['192.0.2.8'])
})

test('while no server answers the last answer is better than none; then the new one counts', async (t) => {
  const clock = fakeClock()
  let mode: 'answer' | 'fail' | 'silent' = 'answer'
  let address = '192.0.2.1'
  const heard = Promise.withResolvers<void>()
  const one = await upstream(t, ({ name }) => {
    if (mode === 'silent') heard.resolve()
    return mode === 'silent' ? undefined : mode === 'fail' ? { flags: 2 } : { answers: [a(name, address)], additionals: [opt] }
  })
  const registry = new Registry()
  const { ask } = await serverFor(t, { upstream: [one.server], clock, metrics: registry })
  const example = question('example.com')
  assert.deepEqual(ttls(await ask(example)), [60])
  await clock.advance(61_000)
  mode = 'fail'
  assert.deepEqual(ttls(await ask(example)), [30])
  assert.equal(one.asked.length, 2)
  assert.deepEqual(ttls(await ask(example)), [30])
  assert.equal(one.asked.length, 2, 'the server is left alone for a while')
  assert.equal((await ask(question('unknown.example.com'))).rcode, 'SERVFAIL')

  await clock.advance(10_001)
  mode = 'silent'
  const waiting = ask(example)
  await heard.promise
  await clock.advance(1800)
  assert.deepEqual(ttls(await waiting), [30])

  await clock.advance(10_001)
  mode = 'answer'
  address = '192.0.2.2'
  // The question that was never answered is still on its way; another client's joins it or asks anew.
  const fresh = await ask(question('EXAMPLE.com'))
  assert.equal(fresh.answers?.length, 1)
  await clock.advance(86_500_000)
  mode = 'fail'
  assert.equal((await ask(example)).rcode, 'SERVFAIL', 'too old is too old')
  const metrics = await registry.metrics()
  assert.match(metrics, /coracle_dns_answers_total\{source="stale"\} [3-9]/)
  assert.match(metrics, /coracle_dns_responses_total\{rcode="SERVFAIL"\} 2/)
  assert.match(metrics, /coracle_dns_upstream_failures_total [5-9]/)
})

test('SRV answers bring the addresses of their targets along, if they fit', async (t) => {
  const { dns, ask } = await serverFor(t)
  const ports = [{ name: 'http', port: 80, protocol: 'TCP' as const }]
  addService(dns, 'web', { clusterIP: '10.43.1.2', clusterIPs: ['10.43.1.2', 'fd00::2'], ports })
  addService(dns, 'db', { clusterIP: 'None', ports })
  const srv = (service: string) => ask({ ...question(`_http._tcp.${service}.default.svc.cluster.local`, 'SRV'), additionals: [opt] })
  const extra = ({ additionals }: { additionals?: unknown }) =>
    (additionals as { type: string; name: string; data: string }[])
      .filter(({ type }) => type !== 'OPT')
      .map(({ name, data }) => `${name} ${data}`)
  assert.deepEqual(extra(await srv('web')), ['web.default.svc.cluster.local 10.43.1.2', 'web.default.svc.cluster.local fd00::2'])
  const endpoints = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ addresses: [`10.42.0.${i}`], hostname: `db-${i}`, conditions: { ready: true } }))
  addSlice(dns, 'db', 'db-1', endpoints(2), ports)
  assert.deepEqual(extra(await srv('db')), ['db-0.db.default.svc.cluster.local 10.42.0.0', 'db-1.db.default.svc.cluster.local 10.42.0.1'])
  addSlice(dns, 'db', 'db-1', endpoints(15), ports)
  const many = await srv('db')
  assert.deepEqual([many.answers?.length, extra(many), many.flag_tc], [15, [], false])
})

test('the counts tell where answers came from', async (t) => {
  const registry = new Registry()
  const { dns, dig } = await serverFor(t, { metrics: registry })
  addService(dns, 'web', { clusterIP: '10.43.1.2' })
  dns.configure({ hosts: '192.0.2.7 printer' })
  for (let i = 0; i < 3; i++) await dig('web.default.svc.cluster.local')
  await dig('printer')
  await dig('nothing.default.svc.cluster.local')
  const metrics = await registry.metrics()
  for (const [source, count] of Object.entries({ cluster: 2, memory: 2, hosts: 1, forwarded: 0 }))
    assert.match(metrics, new RegExp(`coracle_dns_answers_total\\{source="${source}"\\} ${count}\n`))
  assert.match(metrics, /coracle_dns_responses_total\{rcode="NXDOMAIN"\} 1/)
  assert.match(metrics, /coracle_dns_responses_total\{rcode="NOERROR"\} 4/)
})
