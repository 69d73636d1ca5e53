// A key of the node's own, and the signing request (PKCS#10) for it.

import { keyPem, makeKey } from '#api/x509/key.ts'
import { makeRequest } from '#api/x509/request.ts'

export type KeyRequest = { key: string; csr: string }

export async function keyRequest(commonName: string): Promise<KeyRequest> {
  const keys = await makeKey()
  return { key: keyPem(keys.privateKey), csr: makeRequest(commonName, keys) }
}
