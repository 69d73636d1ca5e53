// What people set about names, in a ConfigMap with the keys that kube-dns had, and one more:
//
//   stubDomains: '{"example.internal": ["192.0.2.53", "192.0.2.54#5353"]}'   these servers know that domain
//   upstreamNameservers: '["192.0.2.1"]'                                     instead of the host's own
//   hosts: as in /etc/hosts, for everyone in the cluster
//
// What is wrong with one entry is told and leaves the others as they are.

import { isIP } from 'node:net'

export type Overrides = {
  /** By name, in lower case. */
  hosts: ReadonlyMap<string, readonly string[]>
  /** The longest suffix first. */
  stubs: readonly Stub[]
  /** Undefined: the host's. */
  upstream: readonly string[] | undefined
}

export type Stub = { suffix: readonly string[]; servers: readonly string[] }

export const noOverrides: Overrides = { hosts: new Map(), stubs: [], upstream: undefined }

export function readOverrides(data: Record<string, string>, complain: (problem: string) => void): Overrides {
  const servers = (value: unknown, at: string): string[] => {
    const list = Array.isArray(value) ? value.map(String) : []
    const good = list.filter(isServer)
    for (const server of list) if (!good.includes(server)) complain(`${at}: ${server} is not address or address#port`)
    if (good.length === 0) complain(`${at}: no name server`)
    return good
  }
  const stubs = Object.entries(json(data, 'stubDomains', complain) ?? {}).flatMap(([domain, value]) => {
    const suffix = labelsOf(domain)
    const list = servers(value, `stubDomains: ${domain}`)
    return suffix.length > 0 && list.length > 0 ? [{ suffix, servers: list }] : []
  })
  const given = json(data, 'upstreamNameservers', complain)
  const upstream = given === undefined ? [] : servers(given, 'upstreamNameservers')
  return {
    hosts: readHosts(data['hosts'] ?? '', complain),
    stubs: stubs.sort((a, b) => b.suffix.length - a.suffix.length),
    upstream: upstream.length > 0 ? upstream : undefined,
  }
}

function json(data: Record<string, string>, key: string, complain: (problem: string) => void): object | undefined {
  const text = data[key]
  if (text === undefined || text.trim() === '') return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value
  } catch {
    // Told below.
  }
  complain(`${key}: not JSON of the kind that it has to be`)
  return undefined
}

function readHosts(text: string, complain: (problem: string) => void): Map<string, string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address, ...names] = line
      .replace(/#.*$/, '')
      .split(/\s+/)
      .filter((word) => word !== '')
    if (address === undefined) continue
    if (isIP(address) === 0 || names.length === 0) {
      complain(`hosts: ${line.trim()}: not an address and its names`)
      continue
    }
    for (const each of names) {
      const name = labelsOf(each).join('.')
      hosts.set(name, [...new Set([...(hosts.get(name) ?? []), address])])
    }
  }
  return hosts
}

const labelsOf = (name: string): string[] =>
  name
    .toLowerCase()
    .split('.')
    .filter((label) => label !== '')

const isServer = (text: string): boolean => {
  const [address = '', port = '53'] = text.split('#')
  return isIP(address) !== 0 && /^\d+$/.test(port) && Number(port) > 0 && Number(port) < 65_536
}
