// IP addresses and networks: `cidr('10.0.0.0/8').containsIP('10.1.2.3')`.

import { BlockList, isIP } from 'node:net'
import type { Environment } from '@marcbachmann/cel-js'

type Family = 4 | 6

/** What `ip.isCanonical` is called on. */
class Ips {
  readonly namespace = 'ip'
}

class Ip {
  readonly family: Family
  /** The spelling that everybody would use. */
  readonly text: string
  constructor(text: string) {
    this.family = familyOf(text)
    this.text = canonical(text)
  }
  toString(): string {
    return this.text
  }
}

class Cidr {
  readonly address: Ip
  readonly bits: number
  constructor(text: string) {
    const [address = '', bits = ''] = text.split('/')
    if (!isCidr(text)) throw new Error(`network address parse error during conversion from string: invalid CIDR address: ${text}`)
    this.address = new Ip(address)
    this.bits = Number(bits)
  }
  contains(ip: Ip): boolean {
    if (ip.family !== this.address.family) return false
    const list = new BlockList()
    list.addSubnet(this.address.text, this.bits, this.address.family === 4 ? 'ipv4' : 'ipv6')
    return list.check(ip.text, ip.family === 4 ? 'ipv4' : 'ipv6')
  }
  toString(): string {
    return `${this.address.text}/${this.bits}`
  }
}

function familyOf(text: string): Family {
  const family = isIP(text)
  // No zone, and no IPv4 address in the clothes of an IPv6 one.
  if (!family || text.includes('%') || /^::ffff:\d+\./i.test(text))
    throw new Error(`IP Address ${JSON.stringify(text)} parse error during conversion from string`)
  return family === 4 ? 4 : 6
}

const canonical = (text: string): string => (text.includes(':') ? new URL(`http://[${text}]/`).hostname.slice(1, -1) : text)

const tried = (make: () => unknown): boolean => {
  try {
    make()
    return true
  } catch {
    return false
  }
}

function isCidr(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/')
  if (rest.length || !/^(0|[1-9]\d{0,2})$/.test(bits) || !tried(() => familyOf(address))) return false
  return Number(bits) <= (address.includes(':') ? 128 : 32)
}

const inside =
  (...networks: string[]) =>
  (ip: Ip): boolean =>
    networks.some((network) => new Cidr(network).contains(ip))

const isLoopback = inside('127.0.0.0/8', '::1/128')
const isLinkLocalUnicast = inside('169.254.0.0/16', 'fe80::/10')
const isLinkLocalMulticast = inside('224.0.0.0/24', 'ff02::/16')
const isMulticast = inside('224.0.0.0/4', 'ff00::/8')
const isUnspecified = ({ text }: Ip) => text === '0.0.0.0' || text === '::'

/** The network's own address: the bits behind the mask are zero. */
function masked(cidr: Cidr): Cidr {
  const { address, bits } = cidr
  const parts = address.family === 4 ? address.text.split('.').map(Number) : groupsOf(address.text)
  const width = address.family === 4 ? 8 : 16
  const kept = parts.map((part, i) => {
    const keep = Math.min(Math.max(bits - i * width, 0), width)
    return part & ~(2 ** (width - keep) - 1)
  })
  const text = address.family === 4 ? kept.join('.') : kept.map((part) => part.toString(16)).join(':')
  return new Cidr(`${text}/${bits}`)
}

function groupsOf(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const left = head ? head.split(':') : []
  const right = tail ? tail.split(':') : []
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16))
}

export function addresses(environment: Environment): void {
  environment
    .registerType('IP', Ip)
    .registerType('CIDR', Cidr)
    .registerOperator('IP == IP', (a: Ip, b: Ip) => a.text === b.text)
    .registerOperator('CIDR == CIDR', (a: Cidr, b: Cidr) => String(a) === String(b))
    .registerFunction('isIP(string): bool', (text: string) => tried(() => familyOf(text)))
    .registerFunction('ip(string): IP', (text: string) => new Ip(text))
    .registerFunction('string(IP): string', String)
    .registerType('Ips', Ips)
    .registerConstant('ip', 'Ips', new Ips())
    .registerFunction('Ips.isCanonical(string): bool', (_: Ips, text: string) => new Ip(text).text === text)
    .registerFunction('IP.family(): int', ({ family }: Ip) => BigInt(family))
    .registerFunction('IP.isUnspecified(): bool', isUnspecified)
    .registerFunction('IP.isLoopback(): bool', isLoopback)
    .registerFunction('IP.isLinkLocalMulticast(): bool', isLinkLocalMulticast)
    .registerFunction('IP.isLinkLocalUnicast(): bool', isLinkLocalUnicast)
    .registerFunction('IP.isGlobalUnicast(): bool', (ip: Ip) => {
      return !isUnspecified(ip) && !isLoopback(ip) && !isLinkLocalUnicast(ip) && !isMulticast(ip) && ip.text !== '255.255.255.255'
    })
    .registerFunction('isCIDR(string): bool', isCidr)
    .registerFunction('cidr(string): CIDR', (text: string) => new Cidr(text))
    .registerFunction('string(CIDR): string', String)
    .registerFunction('CIDR.containsIP(string): bool', (cidr: Cidr, text: string) => cidr.contains(new Ip(text)))
    .registerFunction('CIDR.containsIP(IP): bool', (cidr: Cidr, ip: Ip) => cidr.contains(ip))
    .registerFunction('CIDR.containsCIDR(string): bool', (cidr: Cidr, text: string) => within(cidr, new Cidr(text)))
    .registerFunction('CIDR.containsCIDR(CIDR): bool', within)
    .registerFunction('CIDR.ip(): IP', ({ address }: Cidr) => address)
    .registerFunction('CIDR.masked(): CIDR', masked)
    .registerFunction('CIDR.prefixLength(): int', ({ bits }: Cidr) => BigInt(bits))
}

const within = (outer: Cidr, inner: Cidr): boolean => outer.bits <= inner.bits && outer.contains(inner.address)
