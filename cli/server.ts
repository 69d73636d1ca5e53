// `coracle server`: the control plane in one process.

import { writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { addressAt, type Cidr, familyOf } from '#api/cidr.ts'
import { systemClock } from '#api/clock.ts'
import { informers as informersOf } from '#api/informer/informers.ts'
import { keepRenewed } from '#api/x509/renewal.ts'
import { startControllers, startScheduler } from '#control/controllers/index.ts'
import { podRanges } from '#control/controllers/node/cidr.ts'
import { openPki } from '#control/pki/pki.ts'
import { readConfiguration } from '#control/scheduler/config/configuration.ts'
import { startServer } from '#control/server/server.ts'
import { openLevelStore } from '#control/store/level.ts'
import { firstAddress } from './address.ts'
import { collectWhenQuiet } from './garbage.ts'
import { openLog } from './log.ts'
import { networkOf } from './network.ts'
import { keepPrivate } from './private.ts'
import { untilSignal } from './signals.ts'

/**
 * Of the slabs that Node cuts small buffers out of; its own are of 64 KiB. A connection keeps a few bytes of one for as
 * long as it lasts (of its TLS options, of what it was last sent), and so all of that slab.
 */
const slabBytes = 8 * 1024

export type ServerOptions = {
  dataDir: string
  listen: string
  port: number
  advertiseAddress?: string
  tlsSan: string[]
  clusterCidr?: Cidr[]
  serviceCidr?: Cidr[]
  clusterDns?: string[]
  nodeCidrMaskSizeIpv4: number
  nodeCidrMaskSizeIpv6: number
  clusterDomain: string
  schedulerConfig?: string
  logLevel: string
}

export async function runServer(options: ServerOptions): Promise<void> {
  Buffer.poolSize = slabBytes
  const log = openLog('server', options.logLevel)
  const { pods, services, dns } = networkOf(options)
  const ranges = podRanges(pods, { IPv4: options.nodeCidrMaskSizeIpv4, IPv6: options.nodeCidrMaskSizeIpv6 })
  const advertise = advertised(options, services)
  const configuration = options.schedulerConfig === undefined ? undefined : await readConfiguration(options.schedulerConfig)
  await keepPrivate(options.dataDir, log)
  const hosts = hostsOf(options, services, advertise)
  const pkiDir = join(options.dataDir, 'pki')
  const pki = await openPki({ dir: pkiDir, hosts, now: Date.now })
  await using stack = new AsyncDisposableStack()
  const renewal = keepRenewed({ dir: pkiDir, end: () => pki.end, renew: (all) => pki.renew(all), clock: systemClock, log })
  stack.defer(() => renewal.close())
  const store = await openLevelStore({ dir: join(options.dataDir, 'db'), log })
  stack.defer(() => store.close())
  const server = await startServer({
    store,
    pki,
    listen: { host: options.listen, port: options.port },
    advertise: { address: advertise, port: options.port },
    serviceCidrs: services,
    identity: {
      names: hosts.filter((host) => isIP(host) === 0 && host !== hostname()),
      addresses: hosts.filter((host) => isIP(host) !== 0),
    },
    clusterDNS: dns,
    clock: systemClock,
    log,
  })
  stack.defer(() => server.close())
  // For the commands of this host (cli/access.ts).
  await writeFile(join(options.dataDir, 'url'), urlOf(options), { mode: 0o600 })

  const stop = new AbortController()
  const client = server.client()
  const informers = informersOf({ client, clock: systemClock, log })
  const running = Promise.all([
    startControllers({
      client,
      probe: (...asked) => server.probe(...asked),
      informers,
      log,
      signal: stop.signal,
      ca: pki.authority.cert,
      // What agents show is nothing that the server's own clients would trust.
      certify: (key, subject, ...rest) =>
        (subject.usage === 'server' ? pki.agents.authority : pki.authority).certify(key, subject, ...rest),
      podRanges: ranges,
    }),
    startScheduler({ client, informers, log, signal: stop.signal, ...(configuration && { configuration }) }),
  ])
  stack.defer(async () => {
    stop.abort()
    await running
    await informers.close()
  })
  collectWhenQuiet({ clock: systemClock })
  await Promise.race([untilSignal(), running])
}

/** Pods reach the server through a service of the cluster's first family, so that is what it must be reached by. */
function advertised({ advertiseAddress }: ServerOptions, [first]: readonly Cidr[]): string {
  if (!first) throw new RangeError('services have no addresses')
  const address = advertiseAddress ?? firstAddress(first.family)
  if (familyOf(address) === first.family) return address
  throw new Error(`--advertise-address ${address} is no ${first.family} address, as services have first (--service-cidr ${first.text})`)
}

/** As programs of this host reach it. */
function urlOf({ listen, port }: ServerOptions): string {
  const host = ['::', '0.0.0.0', ''].includes(listen) ? '127.0.0.1' : listen
  return `https://${isIP(host) === 6 ? `[${host}]` : host}:${port}\n`
}

/** Every name and address by which clients and pods may reach this server. */
function hostsOf({ tlsSan, clusterDomain }: ServerOptions, services: readonly Cidr[], advertise: string): string[] {
  const own = Object.values(networkInterfaces())
    .flatMap((list) => (list ?? []).map((a) => a.address))
    .filter((a) => !a.startsWith('fe80'))
  const names = [
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    `kubernetes.default.svc.${clusterDomain}`,
    'localhost',
    hostname(),
  ]
  return [...new Set([...names, ...services.map((cidr) => addressAt(cidr, 1)), advertise, ...own, ...tlsSan])]
}
