// The keys of certificates: EC P-256.

import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export type Keys = { publicKey: KeyObject; privateKey: KeyObject }

export const makeKey = (): Promise<Keys> => promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })

/** As PKCS#8. */
export const keyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }) as string
