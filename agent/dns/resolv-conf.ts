// Which servers the host asks (resolv.conf(5)).

import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { Log } from '#api/log.ts'

/** What systemd-resolved answers on; its own list of servers is in the second file. */
const stubs = ['127.0.0.53', '127.0.0.54']
const resolved = '/run/systemd/resolve/resolv.conf'

/**
 * The servers in `text`, without `own` addresses, which would ask themselves. Other loopback servers stay:
 * it is the agent that asks, on the host's own network.
 */
export function nameservers(text: string, own: readonly string[]): string[] {
  const found = [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].map(([, address]) => address!)
  return [...new Set(found)].filter((address) => isIP(address.split('%')[0]!) !== 0 && !own.includes(address) && address !== '0.0.0.0')
}

export interface Servers {
  /** In the order of preference; read again after the file has changed. */
  list(): Promise<readonly string[]>
}

/** Follows `file` as it changes: a lease or a cable may bring other servers. Looks at it at most every `everyMillis`. */
export function hostServers(options: { file: string; own: readonly string[]; now: () => number; log: Log; everyMillis?: number }): Servers {
  const { file, own, now, log, everyMillis = 5000 } = options
  let servers: readonly string[] = []
  let version = ''
  let looked = Number.NEGATIVE_INFINITY
  const look = async () => {
    const found = await Promise.all([file, resolved].map((path) => stat(path).catch(() => undefined)))
    const latest = found.map((stats) => `${stats?.ino} ${stats?.mtimeMs} ${stats?.size}`).join()
    if (latest === version) return
    version = latest
    const listed = nameservers(await readFile(file, 'utf8').catch(() => ''), own)
    const real = listed.some((address) => stubs.includes(address)) ? nameservers(await readFile(resolved, 'utf8').catch(() => ''), own) : []
    servers = real.length > 0 ? real : listed
    log.info({ servers }, 'upstream name servers')
  }
  return {
    async list() {
      if (now() - looked >= everyMillis) {
        looked = now()
        await look()
      }
      return servers
    },
  }
}
