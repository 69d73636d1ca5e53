import { networkInterfaces } from 'node:os'
import type { Family } from '#api/cidr.ts'

/** This host's first address of the family that others can reach. */
export function firstAddress(family: Family): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const found = all.find((a) => a.family === family && !a.internal && !a.address.startsWith('fe80'))
  if (!found) throw new Error(`this host has no ${family} address but loopback: say which one to use`)
  return found.address
}
