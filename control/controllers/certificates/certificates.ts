// Certificate signing requests: those that were approved, for Kubernetes' own signers, get their certificate;
// those that are over are forgotten. Who is approved without being asked about: approval.ts.

import { type KeyObject, X509Certificate } from 'node:crypto'
import { timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { CertificateSigningRequest } from '#api/kinds/index.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import { type Asked, readRequest } from '#api/x509/asked.ts'
import type { Subject } from '#api/x509/certificate.ts'
import { Ages } from '../ages.ts'
import type { Deps } from '../deps.ts'
import { type Signer, signers } from './signer.ts'

/** A certificate (PEM) for a key; `seconds`: for how long at most. */
export type Certify = (key: KeyObject, subject: Subject, seconds?: number) => string

const has = ({ status }: CertificateSigningRequest, type: string) => status?.conditions?.find((condition) => condition.type === type)

export function certificateSigning({ client, informers, clock }: Deps, certify: Certify): Reconciler {
  const requests = informers.of(CertificateSigningRequest)
  return {
    name: 'csr-signing',
    watches: [of(CertificateSigningRequest)],
    workers: 1,
    async reconcile(name, signal) {
      const request = requests.get(name)
      const signer = signers.get(request?.spec.signerName ?? '')
      if (!request || !signer || !has(request, 'Approved') || has(request, 'Failed') || request.status?.certificate) return done
      const answer = answerTo(request, signer, certify)
      const next = 'fault' in answer ? failed(request.status, answer.fault, timestamp(clock.now())) : { ...request.status, ...answer }
      await client.update(CertificateSigningRequest, { ...request, status: next }, { subresource: 'status', signal })
      return done
    },
  }
}

/** The certificate as the status has it, or what is wrong with the request. */
function answerTo(
  { metadata, spec }: CertificateSigningRequest,
  signer: Signer,
  certify: Certify,
): { certificate: string } | { fault: string } {
  let asked: Asked
  try {
    asked = readRequest(Buffer.from(spec.request, 'base64').toString('latin1'))
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return { fault: `unable to parse csr ${JSON.stringify(metadata.name)}: ${error.message}` }
  }
  const fault = signer.fault({ asked, usages: spec.usages ?? [], username: spec.username ?? '' })
  if (fault) return { fault }
  const { usage } = signer
  const { key, commonName, subject: name, dnsNames, addresses } = asked
  const hosts = usage === 'server' ? [...dnsNames, ...addresses] : []
  return { certificate: Buffer.from(certify(key, { commonName, name, usage, hosts }, spec.expirationSeconds)).toString('base64') }
}

function failed(status: CertificateSigningRequest['status'], message: string, now: string): CertificateSigningRequest['status'] {
  const condition = { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message } as const
  return { ...status, conditions: [...(status?.conditions ?? []), { ...condition, lastUpdateTime: now, lastTransitionTime: now }] }
}

const hour = 3_600_000
/** How long what has become of a request is kept, and how long one waits. */
const kept = { decided: hour, waiting: 24 * hour }

export function certificateExpiry({ client, informers, clock }: Deps): Reconciler {
  const requests = informers.of(CertificateSigningRequest)
  const ages = new Ages(clock)
  return {
    name: 'csr-cleaning',
    watches: [of(CertificateSigningRequest)],
    workers: 1,
    async reconcile(name, signal) {
      const request = requests.get(name)
      if (!request) {
        ages.forget(name)
        return done
      }
      const left = leftOf(request, ages, clock.now())
      if (left > 0) return after(left)
      const preconditions = { uid: request.metadata.uid }
      await client.delete(CertificateSigningRequest, { name }, { preconditions, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
      return done
    },
  }
}

/** Milliseconds until a request may go: by the time since it was seen to be decided, and by the certificate's own end. */
function leftOf(request: CertificateSigningRequest, ages: Ages, now: number): number {
  const certificate = request.status?.certificate
  const decided = has(request, 'Failed') ?? has(request, 'Denied') ?? (certificate ? has(request, 'Approved') : undefined)
  const { name, creationTimestamp } = request.metadata
  const age = ages.of(name, decided ? (decided.lastUpdateTime ?? decided.lastTransitionTime) : creationTimestamp)
  const ofCertificate = certificate ? expiryOf(certificate) - now : Number.POSITIVE_INFINITY
  const own = (decided ? kept.decided : kept.waiting) - age
  return Number.isNaN(ofCertificate) ? own : Math.min(own, ofCertificate)
}

/** Other signers may have put anything there. */
function expiryOf(certificate: string): number {
  try {
    return Date.parse(new X509Certificate(Buffer.from(certificate, 'base64')).validTo)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
