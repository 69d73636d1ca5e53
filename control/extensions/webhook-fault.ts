// Why a webhook could not be reached, in the words that people find when they search for them: those of
// Go's net and crypto/tls, which Kubernetes passes on.

type Fault = Error & { code?: string; cert?: { subjectaltname?: string } }

const unknownAuthority = 'certificate signed by unknown authority'
const certificateFaults: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  SELF_SIGNED_CERT_IN_CHAIN: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: unknownAuthority,
  CERT_SIGNATURE_FAILURE: unknownAuthority,
  CERT_HAS_EXPIRED: 'certificate has expired or is not yet valid',
  CERT_NOT_YET_VALID: 'certificate has expired or is not yet valid',
}
const networkFaults: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'i/o timeout',
}

export function explain(error: Fault, { host, port, servername }: { host: string; port: number; servername: string }): string {
  const { code = '', message } = error
  const certificate = certificateFaults[code]
  if (certificate) return `tls: failed to verify certificate: x509: ${certificate}`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = (error.cert?.subjectaltname ?? '').split(', ').map((name) => name.replace(/^(DNS|IP Address):/, ''))
    return `tls: failed to verify certificate: x509: certificate is valid for ${names.join(', ')}, not ${servername}`
  }
  const network = networkFaults[code]
  if (network) return `dial tcp ${host.includes(':') ? `[${host}]` : host}:${port}: connect: ${network}`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `dial tcp: lookup ${host}: no such host`
  // OpenSSL's line, of which only the reason is for people: `…:error:0A00010B:SSL routines:FUNCTION:REASON:FILE:…`.
  if (code === 'EPROTO') return `tls: ${message.split(':')[5] ?? 'protocol error'}`
  return message
}
