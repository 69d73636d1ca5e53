// The join token: `K10<SHA-256 of the authority's certificate, hex>::<secret>`. Its first half lets a
// new agent recognise the cluster before it trusts anything that the network says.

import { createHash } from 'node:crypto'
import { connect, type TLSSocket } from 'node:tls'

/** The authority's certificate (PEM), as the server presents it, if it is the one that the token names. */
export async function pinnedAuthority({
  host,
  port,
  token,
  signal,
}: {
  host: string
  port: number
  token: string
  signal?: AbortSignal
}): Promise<string> {
  const expected = /^K10([0-9a-f]{64})::.+$/.exec(token)?.[1]
  if (!expected)
    throw new SyntaxError('the join token must look like K10<64 hex digits>::<secret>; `coracle token` prints it on the server')
  // Nothing is sent over this connection: it only shows the chain, whose last certificate is checked against the token.
  const chain = await new Promise<Buffer[]>((resolve, reject) => {
    const socket: TLSSocket = connect({
      host,
      port,
      rejectUnauthorized: false,
      ...(/[a-z]/i.test(host) && !host.includes(':') && { servername: host }),
    })
    const abort = () => socket.destroy(new Error(`joining ${host}:${port} was given up`))
    signal?.addEventListener('abort', abort)
    socket.setTimeout(10_000, () => socket.destroy(new Error(`${host}:${port} did not answer within 10 seconds`)))
    socket.once('error', reject)
    socket.once('close', () => signal?.removeEventListener('abort', abort))
    socket.once('secureConnect', () => {
      const found: Buffer[] = []
      let certificate = socket.getPeerCertificate(true)
      while (certificate?.raw && !found.some((der) => der.equals(certificate.raw))) {
        found.push(certificate.raw)
        certificate = certificate.issuerCertificate
      }
      socket.end()
      resolve(found)
    })
  })
  const authority = chain.find((der) => createHash('sha256').update(der).digest('hex') === expected)
  if (!authority) throw new Error(`${host}:${port} is not the cluster of this join token: it presents another authority`)
  return `-----BEGIN CERTIFICATE-----\n${authority.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
}
