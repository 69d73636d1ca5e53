// Certificate signing requests: who asks is written by the server, and who decides must be allowed to
// decide for that signer (CertificateApproval, CertificateSigning, CertificateSubjectRestriction of Kubernetes).

import type { CertificateSigningRequest } from '#api/types/certificates-v1.gen.ts'
import { type Asked, readRequest } from '#api/x509/asked.ts'
import { type Authorizer, allowedBy } from '#control/auth/authorizer.ts'
import { reservedName } from '#control/auth/reserved-names.ts'
import { type Admission, forbidden, isKind, type Review } from './admission.ts'

const group = 'certificates.k8s.io'
const clientSigner = 'kubernetes.io/kube-apiserver-client'

type Status = CertificateSigningRequest['status']

export const certificateRequests = ({ authorizers }: { authorizers: readonly Authorizer[] }): Admission => ({
  name: 'CertificateRequests',
  mutate(review) {
    if (!isKind(review, group, 'CertificateSigningRequest') || review.operation !== 'CREATE') return
    const object = review.object as CertificateSigningRequest
    const { name, uid, groups, extra } = review.user
    const { uid: _, extra: __, ...asked } = object.spec
    object.spec = {
      ...asked,
      username: name,
      groups: [...groups],
      ...(uid && { uid }),
      ...(extra && { extra: Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]])) }),
    }
  },
  async validate(review) {
    if (!isKind(review, group, 'CertificateSigningRequest')) return
    if (review.operation === 'CREATE') restrictSubject(review)
    if (review.operation !== 'UPDATE') return
    const { spec, status } = review.object as CertificateSigningRequest
    const before = (review.previous as CertificateSigningRequest | undefined)?.status
    if (review.subresource === 'approval') await confirm(authorizers, review, 'approve', spec.signerName)
    else if (review.subresource === 'status' && isSigned(status, before)) await confirm(authorizers, review, 'sign', spec.signerName)
  },
})

/** Whoever approves requests of people must not be able to make them masters, nodes, or a part of the cluster. */
function restrictSubject(review: Review): void {
  const { spec } = review.object as CertificateSigningRequest
  if (spec.signerName !== clientSigner) return
  const reserved = reservedName(askedIn(review, spec.request))
  if (reserved) throw forbidden(review, `use of ${clientSigner} signer with ${reserved} is not allowed`)
}

function askedIn(review: Review, request: string): Asked {
  try {
    return readRequest(Buffer.from(request, 'base64').toString('latin1'))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw forbidden(review, `failed to parse CSR: ${error.message}`)
  }
}

const isSigned = (after: Status, before: Status | undefined): boolean => {
  const failure = (status: Status | undefined) => status?.conditions?.some((c) => c.type === 'Failed') ?? false
  return after.certificate !== before?.certificate || failure(after) !== failure(before)
}

/** By the signer's name, or for all signers of its domain. */
async function confirm(authorizers: readonly Authorizer[], review: Review, verb: string, signer: string): Promise<void> {
  const { user } = review
  for (const name of [signer, `${signer.split('/')[0]}/*`]) {
    const attempt = { user, verb, group, version: 'v1', resource: 'signers', subresource: '', namespace: undefined, name }
    if ((await allowedBy(authorizers, attempt)) !== undefined) return
  }
  throw forbidden(review, `user not permitted to ${verb} requests with signerName ${JSON.stringify(signer)}`)
}
