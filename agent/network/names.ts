// What is ours in a network namespace carries one of these names, so that it is known after a restart.

import { createHash } from 'node:crypto'
import { addressBytes, macText } from 'nft-js'
import { addressAt, type Cidr } from '#api/cidr.ts'

export const bridgeName = 'coracle0'
export const tunnelName = 'coracle.vx'
/** rtm_protocol of our routes: a number that iproute2 assigns to nobody. */
export const routeProtocol = 67

/** The host's end of a pod's veth pair: as long as an interface's name may be (15 bytes). */
export const vethName = (uid: string): string => `cor${createHash('sha256').update(uid).digest('hex').slice(0, 12)}`

export const isVethName = (name: string): boolean => /^cor[\da-f]{12}$/.test(name)

/** What a pod sends goes through this one, if it may send only so fast. */
export const ifbName = (uid: string): string => vethName(uid).replace('cor', 'coi')

export const isIfbName = (name: string): boolean => /^coi[\da-f]{12}$/.test(name)

export const isOwnLink = (name: string): boolean => name === bridgeName || name === tunnelName || isVethName(name) || isIfbName(name)

/**
 * The MAC of whoever has an address: a pod, a bridge, or (by its node's address) a tunnel end. So an
 * address that is used again keeps its MAC, and nodes know each other's tunnel ends without being told.
 */
export const macOf = (address: string): string => {
  const bytes = addressBytes(address)
  const tail = bytes.length === 4 ? bytes : createHash('sha256').update(bytes).digest().subarray(0, 4)
  return macText(Uint8Array.of(0x0a, bytes.length === 4 ? 0x58 : 0x59, ...tail))
}

/** The address through which a node's pods leave: the first after their range's own. */
export const gatewayOf = (range: Cidr): string => addressAt(range, 1)
