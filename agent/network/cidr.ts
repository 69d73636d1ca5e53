// IPv4 ranges as numbers.

export type Cidr = {
  /** Canonical text, host bits cleared. */
  text: string
  /** First and last address. */
  first: number
  last: number
  prefix: number
}

export const parseAddress = (text: string): number | undefined => {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (!match) return undefined
  const bytes = match.slice(1).map(Number)
  if (bytes.some((byte) => byte > 255)) return undefined
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0)
}

export const formatAddress = (address: number): string =>
  [address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255].join('.')

/** Undefined for what is no IPv4 range. */
export const parseCidr = (text: string): Cidr | undefined => {
  const [left = '', right = ''] = text.split('/')
  const address = parseAddress(left)
  const prefix = Number(right)
  if (address === undefined || !/^\d{1,2}$/.test(right) || prefix > 32) return undefined
  const size = 2 ** (32 - prefix)
  const first = Math.floor(address / size) * size
  return { text: `${formatAddress(first)}/${prefix}`, first, last: first + size - 1, prefix }
}

export const contains = (cidr: Cidr, address: string): boolean => {
  const number = parseAddress(address)
  return number !== undefined && number >= cidr.first && number <= cidr.last
}

/** The address through which a node's pods leave: the first after the network's own. */
export const gatewayOf = (cidr: Cidr): string => formatAddress(cidr.first + 1)
