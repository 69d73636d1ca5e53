// Servers of tests listen on loopback, where nobody is sent: objects name this address in its place.

import { type Dial, dialable } from '../routes/dial.ts'

export const here = '192.0.2.1'

export const dialHere: Dial = (address) => (dialable(address) === here ? '127.0.0.1' : address)
