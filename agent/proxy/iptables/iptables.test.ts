import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '#api/log.ts'
import type { ServiceSpec } from '#api/types/core-v1.gen.ts'
import { Desired } from '../desired.ts'
import { networks, service, slice, tellWhole } from '../fixtures.ts'
import { chainsOf } from './chains.ts'
import { proxyOver } from './iptables.ts'
import { type Iptables, RefusedLine } from './program.ts'
import { parseSave, removal, restore } from './restore.ts'

type Objects = [services: ReturnType<typeof service>[], slices: ReturnType<typeof slice>[]]

const chains = ([services, slices]: Objects, options: { nodePortAddresses?: string[] } = {}) => {
  const desired = new Desired({ nodeName: 'here', families: ['ip'] })
  tellWhole(desired)(services, slices)
  desired.refresh()
  return chainsOf('ip', networks.ip, desired.of('ip').frontends.values(), { mark: 0x4000, ...options })
}
/** The rules of services alone, without hashes: each chain's first appearance names it. */
const rulesOf = (objects: Objects): string[] => {
  const names = new Map<string, string>()
  const short = (text: string) =>
    text.replaceAll(/CORACLE-(\w{3}-)?[\da-f]{16}/g, (name, kind = '') => {
      if (!names.has(name)) names.set(name, `${kind || 'list-'}${names.size + 1}`)
      return names.get(name) as string
    })
  const none = chains([[], []])
  return Object.entries(chains(objects)).flatMap(([table, all]) =>
    [...all].flatMap(([chain, rules]) => {
      const always = none[table as 'nat'].get(chain)?.map(({ text }) => text) ?? []
      return rules.filter(({ text }) => !always.includes(text)).map(({ text }) => `${table} ${short(chain)} ${short(text)}`)
    }),
  )
}

const here = (address: string) => ({ addresses: [address], nodeName: 'here' })

test('a service is a rule in a list and a chain that picks an endpoint', () => {
  const spec: Partial<ServiceSpec> = { type: 'NodePort', ports: [{ port: 80, nodePort: 30080 }] }
  const three = ['10.42.0.2', here('10.42.1.3'), '10.42.2.4']
  assert.deepEqual(rulesOf([[service('web', '10.43.0.1', spec), service('none', '10.43.0.2')], [slice('web', three)]]), [
    'nat CORACLE-SERVICES -d 10.43.0.1/32 -p tcp -m tcp --dport 80 -j SVC-1',
    'nat CORACLE-NODEPORTS -p tcp -m tcp --dport 30080 -j SVC-2',
    'nat CORACLE-HAIRPINS -s 10.42.1.3/32 -d 10.42.1.3/32 -j MASQUERADE --random-fully',
    ...['SVC-1', 'SVC-2'].flatMap((chain) => [
      `nat ${chain} ! -s 10.42.0.0/16 -j MARK --set-xmark 0x4000/0x4000`,
      `nat ${chain} -p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.42.0.2:8080`,
      `nat ${chain} -p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.42.1.3:8080`,
      `nat ${chain} -p tcp -j DNAT --to-destination 10.42.2.4:8080`,
    ]),
    'filter CORACLE-REFUSE -d 10.43.0.2/32 -p tcp -m tcp --dport 80 -j CORACLE-REJECT',
  ])
})

test('traffic policy Local, affinity and source ranges', () => {
  const local = service('web', '10.43.0.1', {
    type: 'LoadBalancer',
    ports: [{ port: 80, nodePort: 30080 }],
    externalTrafficPolicy: 'Local',
    loadBalancerSourceRanges: ['192.0.2.0/24', '198.51.100.1/32'],
  })
  const balanced = { ...local, status: { loadBalancer: { ingress: [{ ip: '203.0.113.5' }] } } }
  const rules = rulesOf([[balanced], [slice('web', ['10.42.0.2', here('10.42.1.3')])]])
  const of = (what: RegExp) => rules.filter((rule) => what.test(rule))
  assert.deepEqual(of(/203\.0\.113\.5|SRC/), [
    'nat CORACLE-SERVICES -d 203.0.113.5/32 -p tcp -m tcp --dport 80 -j SVC-2',
    'mangle CORACLE-GUARD -d 203.0.113.5/32 -p tcp -m tcp --dport 80 -j SRC-6',
    'mangle SRC-6 -s 192.0.2.0/24 -j RETURN',
    'mangle SRC-6 -s 198.51.100.1/32 -j RETURN',
    'mangle SRC-6 -j DROP',
  ])
  assert.deepEqual(of(/^nat (SVC-2|INS-4)/), [
    'nat SVC-2 ! -s 10.42.0.0/16 -m addrtype --src-type LOCAL -j MARK --set-xmark 0x4000/0x4000',
    'nat SVC-2 -s 10.42.0.0/16 -j INS-4',
    'nat SVC-2 -m addrtype --src-type LOCAL -j INS-4',
    'nat SVC-2 -p tcp -j DNAT --to-destination 10.42.1.3:8080',
    'nat INS-4 -p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.42.1.3:8080',
    'nat INS-4 -p tcp -j DNAT --to-destination 10.42.0.2:8080',
  ])
  const away = rulesOf([[balanced], [slice('web', ['10.42.0.2'])]])
  assert(away.includes('mangle CORACLE-GUARD -d 203.0.113.5/32 -p tcp -m tcp --dport 80 -j CORACLE-INSIDE'), away.join('\n'))
  assert(away.includes('filter CORACLE-REFUSE-NODE -p tcp -m tcp --dport 30080 -j CORACLE-INSIDE'))

  const sticky = service('web', '10.43.0.1', { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } })
  const mask = '--mask 255.255.255.255 --rsource'
  assert.deepEqual(rulesOf([[sticky], [slice('web', ['10.42.0.2'])]]).slice(2), [
    `nat SVC-1 -m recent --rcheck --seconds 60 --reap --name list-2 ${mask} -j SEP-3`,
    'nat SVC-1 -j SEP-3',
    `nat SEP-3 -p tcp -m recent --set --name list-2 ${mask} -j DNAT --to-destination 10.42.0.2:8080`,
  ])
  assert.equal(
    chains([[service('web', '10.43.0.1')], []], { nodePortAddresses: ['192.0.2.0/24'] })
      .nat.get('CORACLE-SERVICES')
      ?.at(-1)?.text,
    '-d 192.0.2.0/24 -m addrtype --dst-type LOCAL -j CORACLE-NODEPORTS',
  )
})

/** What iptables-save prints of what it was given: enough of it to try the rest against. */
const fakeIptables = (refuse?: RegExp): Iptables & { given: string[] } => {
  const tables = new Map<string, Map<string, string[]>>()
  const given: string[] = []
  return {
    given,
    save: async () =>
      [...tables]
        .map(([table, all]) =>
          [
            `*${table}`,
            ...[...all.keys()].map((chain) => `:${chain} - [0:0]`),
            ...[...all].flatMap(([chain, rules]) => rules.map((rule) => `-A ${chain} ${rule}`)),
            'COMMIT',
          ].join('\n'),
        )
        .join('\n'),
    async restore(text) {
      given.push(text)
      const lines = text.split('\n')
      const refused = refuse ? lines.findIndex((line) => refuse.test(line)) : -1
      if (refused >= 0) throw new RefusedLine('iptables: refused', refused + 1)
      let table = new Map<string, string[]>()
      for (const line of lines) {
        const [, name = '', rest = ''] = /^(?:-\w )?(\S*) ?(.*)$/.exec(line) ?? []
        if (line.startsWith('*')) {
          table =
            tables.get(line.slice(1)) ?? new Map(['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'].map((chain) => [chain, []]))
          tables.set(line.slice(1), table)
        } else if (line.startsWith(':')) table.set(name.slice(1), [])
        else if (line.startsWith('-A')) table.get(name)?.push(rest)
        else if (line.startsWith('-I')) table.get(name)?.unshift(rest)
        else if (line.startsWith('-D')) table.set(name, table.get(name)?.filter((rule) => rule !== rest) ?? [])
        else if (line.startsWith('-X')) table.delete(name)
      }
    },
  }
}

const proxyOn = (iptables: Iptables, flows: unknown[] = []) => {
  const conntrack = { remove: async (...filters: unknown[]) => flows.push(...filters) }
  const proxy = proxyOver({ conntrack, log: silent, nodeName: 'here', networks }, new Map([['ip', iptables]]))
  const tell = tellWhole(proxy)
  return { proxy, apply: (...[services, slices]: Objects) => (tell(services, slices), proxy.apply()) }
}

test('only chains that differ are written, also by the next agent; what somebody flushed comes back; removed, nothing is left', async () => {
  const iptables = fakeIptables()
  const { proxy, apply } = proxyOn(iptables)
  const services = [service('web', '10.43.0.1'), service('db', '10.43.0.2')]
  const db = slice('db', ['10.42.0.9'])
  await apply(services, [slice('web', ['10.42.0.2']), db])
  await apply(services, [slice('web', ['10.42.0.3']), db])
  assert.equal(iptables.given.length, 2)
  assert.match(
    iptables.given[1]!,
    /^\*nat\n:(CORACLE-SVC-\w{16}) - \[0:0\]\n-A \1 ! -s .*\n-A \1 -p tcp -j DNAT --to-destination 10\.42\.0\.3:8080\nCOMMIT\n$/,
  )
  await proxyOn(iptables).apply(services, [slice('web', ['10.42.0.3']), db])
  assert.equal(iptables.given.length, 2)
  const right = await iptables.save()
  await iptables.restore(
    '*nat\n:PREROUTING - [0:0]\n:CORACLE-SERVICES - [0:0]\n:CORACLE-SVC-stray - [0:0]\n-A OUTPUT -j CORACLE-OLD\nCOMMIT\n',
  )
  await apply(services, [slice('web', ['10.42.0.3']), db])
  assert.equal(await iptables.save(), right)
  await apply([], [])
  assert.doesNotMatch(await iptables.save(), /CORACLE-SVC/)
  await proxy.remove()
  assert.doesNotMatch(await iptables.save(), /CORACLE/)
  const { length } = iptables.given
  await proxy.remove()
  assert.equal(iptables.given.length, length)
})

test('what iptables refuses of one service is told, and the others are programmed', async () => {
  const iptables = fakeIptables(/10\.43\.0\.2/)
  const { apply } = proxyOn(iptables)
  const { errors } = await apply([service('web', '10.43.0.1'), service('bad', '10.43.0.2')], [slice('web', ['10.42.0.2'])])
  assert.deepEqual(
    errors.map(({ object, reason }) => `${object.metadata.name}: ${reason}`),
    ['bad: 10.43.0.2 tcp 80: iptables: refused'],
  )
  assert.match(await iptables.save(), /-d 10\.43\.0\.1\/32/)
  await assert.rejects(proxyOn(fakeIptables(/COMMIT/)).apply([service('web', '10.43.0.1')], []), /iptables: refused/)
})

test('UDP flows to what is gone are forgotten', async () => {
  const flows: unknown[] = []
  const { apply } = proxyOn(fakeIptables(), flows)
  const dns = service('dns', '10.43.0.3', { ports: [{ port: 53, protocol: 'UDP' }] })
  const to = (...addresses: string[]) => slice('dns', addresses, [{ name: '', protocol: 'UDP', port: 5353 }])
  await apply([dns], [to('10.42.0.2', '10.42.0.3')])
  assert.deepEqual(flows, [])
  await apply([dns], [to('10.42.0.3')])
  assert.deepEqual(flows, [
    { protocol: 'udp', original: { destination: '10.43.0.3', destinationPort: 53 }, reply: { source: '10.42.0.2', sourcePort: 5353 } },
  ])
})

test('rules of others are neither read as ours nor named', () => {
  const text =
    '*nat\n:PREROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A PREROUTING -j DOCKER\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n*raw\n:CORACLE-X - [0:0]\nCOMMIT\n'
  assert.equal(removal(parseSave(text)), '')
  const { text: given } = restore(parseSave(text), chains([[], []]))
  assert.doesNotMatch(given, /DOCKER|raw/)
  assert.match(given, /-I PREROUTING -j CORACLE-SERVICES/)
})
