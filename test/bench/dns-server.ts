// The agent's name server in a process of its own for a benchmark: it knows as many services as it is told
// to, and says on its channel where it listens.

import { openDns } from '#agent/dns/dns.ts'
import { service } from '#agent/proxy/fixtures.ts'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'

const [count = '0', port = '0'] = process.argv.slice(2)

const dns = await openDns({
  addresses: ['127.0.0.1'],
  port: Number(port),
  domain: 'cluster.local',
  cidrs: ['10.42.0.0/16', '10.43.0.0/16'],
  upstream: [],
  clock: systemClock,
  random: Math.random,
  log: silent,
})
for (let i = 0; i < Number(count); i++)
  dns.serviceChanged({ namespace: 'default', name: `s${i}` }, service(`s${i}`, `10.43.${i >> 8}.${i & 255}`))
dns.synced()
process.on('disconnect', () => void dns.close())
process.send?.('ready')
