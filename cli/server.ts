// `coracle server`: the control plane in one process.

import { mkdir } from 'node:fs/promises'
import { hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '#api/clock.ts'
import { informers as informersOf } from '#api/informer/informers.ts'
import { startControllers, startScheduler } from '#control/controllers/index.ts'
import { openPki } from '#control/pki/pki.ts'
import { startServer } from '#control/server/server.ts'
import { openLevelStore } from '#control/store/level.ts'
import { firstAddress } from './address.ts'
import { openLog } from './log.ts'
import { untilSignal } from './signals.ts'

export type ServerOptions = {
  dataDir: string
  listen: string
  port: number
  advertiseAddress?: string
  tlsSan: string[]
  clusterCidr: string
  serviceCidr: string
  clusterDns: string
  clusterDomain: string
  logLevel: string
}

export async function runServer(options: ServerOptions): Promise<void> {
  const log = openLog('server', options.logLevel)
  const advertise = options.advertiseAddress ?? firstAddress()
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 })
  const pki = await openPki({ dir: join(options.dataDir, 'pki'), hosts: hostsOf(options, advertise), now: Date.now })
  await using stack = new AsyncDisposableStack()
  const store = await openLevelStore({ dir: join(options.dataDir, 'db'), log })
  stack.defer(() => store.close())
  const server = await startServer({
    store,
    pki,
    listen: { host: options.listen, port: options.port },
    advertise: { address: advertise, port: options.port },
    serviceCidr: options.serviceCidr,
    clock: systemClock,
    log,
  })
  stack.defer(() => server.close())

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
      clusterCIDR: options.clusterCidr,
    }),
    startScheduler({ client, informers, log, signal: stop.signal }),
  ])
  stack.defer(async () => {
    stop.abort()
    await running
    await informers.close()
  })
  await Promise.race([untilSignal(), running])
}

/** Every name and address by which clients and pods may reach this server. */
function hostsOf({ tlsSan, serviceCidr, clusterDomain }: ServerOptions, advertise: string): string[] {
  const [base = ''] = serviceCidr.split('/')
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
  return [...new Set([...names, base.replace(/\d+$/, (last) => String(Number(last) + 1)), advertise, ...own, ...tlsSan])]
}
