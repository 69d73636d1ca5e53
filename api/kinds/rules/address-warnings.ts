// Addresses and ranges that are kept as they were written, though they are usually written otherwise.

import { formatAddress, parseAddress, parseCidr } from '../../cidr.ts'

const mapped = 0xffffn

export function* ipWarnings(field: string, text: string): Generator<string> {
  const address = parseAddress(text)
  if (!address || address.family === 'IPv4') return
  if (address.value >> 32n === mapped) {
    const plain = formatAddress({ family: 'IPv4', value: address.value & 0xffff_ffffn })
    yield `${field}: non-standard IP address ${quote(text)} will be considered invalid in a future Kubernetes release: use ${quote(plain)}`
  } else if (formatAddress(address) !== text) {
    yield `${field}: IPv6 address ${quote(text)} should be in RFC 5952 canonical format (${quote(formatAddress(address))})`
  }
}

export function* cidrWarnings(field: string, text: string): Generator<string> {
  const cidr = parseCidr(text)
  const address = parseAddress(text.split('/')[0] ?? '')
  if (!cidr || !address) return
  if (cidr.first !== address.value) {
    const single = `${formatAddress(address)}/${cidr.family === 'IPv4' ? 32 : 128}`
    yield `${field}: CIDR value ${quote(text)} is ambiguous in this context (should be ${quote(cidr.text)} or ${quote(single)}?)`
  } else if (cidr.family === 'IPv6' && cidr.text !== text) {
    yield `${field}: IPv6 CIDR value ${quote(text)} should be in RFC 5952 canonical format (${quote(cidr.text)})`
  }
}

const quote = (text: string): string => JSON.stringify(text)
