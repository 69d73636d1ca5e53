import { Buffer } from 'node:buffer'

export const toPem = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`

/** The bytes of the first block of that label. Throws SyntaxError where there is none. */
export function fromPem(label: string, pem: string): Buffer {
  const base64 = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(pem)?.[1]
  if (!base64) throw new SyntaxError(`no PEM block ${label}`)
  return Buffer.from(base64, 'base64')
}
