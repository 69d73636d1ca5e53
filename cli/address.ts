import { networkInterfaces } from 'node:os'

/** This host's first address that others can reach. */
export function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const found = all.find((a) => a.family === 'IPv4' && !a.internal) ?? all.find((a) => !a.internal && !a.address.startsWith('fe80'))
  if (!found) throw new Error('this host has no address but loopback: say which one to use')
  return found.address
}
