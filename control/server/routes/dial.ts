// Where this server may be sent. What an object names as an address, others wrote: users as endpoints, nodes as their
// own and as their pods' addresses. The server's host trusts its own loopback, so none of them may lead there.

import { isIP } from 'node:net'
import { StatusError } from '#api/errors.ts'
import { specialAddress } from '#api/special-address.ts'

/** The address to connect to for one that an object names. Throws BadRequest where nobody may be sent. */
export type Dial = (address: string) => string

/** Names are refused as well: whoever answers for them may answer anything. */
export const dialable: Dial = (address) => {
  if (isIP(address) === 0 || address.includes('%') || specialAddress(address) !== undefined)
    throw new StatusError('BadRequest', 'address not allowed')
  return address
}
