import type { CertificateSigningRequestCondition as Condition } from '../types/certificates-v1.gen.ts'
import { CertificateSigningRequest } from './index.ts'
import { humanDuration } from './rules/age.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { type Faults, repeats } from './rules/faults.ts'
import { isPathSegment, validateSigner } from './rules/forms.ts'
import type { KindSpec } from './spec.ts'

const shortest = 600
const usages = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
]
/** Decided through the approval subresource, and only there. */
const decisions = ['Approved', 'Denied']

function conditionText({ status }: CertificateSigningRequest): string {
  const has = (type: string) => status?.conditions?.some((c) => c.type === type)
  return [
    has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending',
    ...(has('Failed') ? ['Failed'] : []),
    ...(status?.certificate ? ['Issued'] : []),
  ].join(',')
}

export const certificateSigningRequest: KindSpec<CertificateSigningRequest> = {
  kind: CertificateSigningRequest,
  singular: 'certificatesigningrequest',
  shortNames: ['csr'],
  status: true,
  subresources: [
    {
      name: 'approval',
      kind: { group: 'certificates.k8s.io', version: 'v1', kind: 'CertificateSigningRequest' },
      verbs: ['get', 'patch', 'update'],
      status: true,
    },
  ],
  nameRule: isPathSegment,
  columns: [
    nameColumn,
    ageColumn,
    { name: 'SignerName', cell: ({ spec }) => spec.signerName || none },
    { name: 'Requestor', cell: ({ spec }) => spec.username ?? '' },
    {
      name: 'RequestedDuration',
      cell: ({ spec }) => (spec.expirationSeconds === undefined ? none : humanDuration(spec.expirationSeconds * 1000)),
    },
    { name: 'Condition', cell: conditionText },
  ],
  fields: { 'spec.signerName': ({ spec }) => spec.signerName ?? '' },
  prepareCreate(r) {
    r.status = {}
  },
  prepareUpdate(next, previous, subresource) {
    next.spec = previous.spec
    if (subresource === 'approval') next.status = { ...previous.status, conditions: next.status?.conditions ?? [] }
    const now = new Map(previous.status?.conditions?.map((c) => [c.type, c]))
    for (const condition of next.status?.conditions ?? []) {
      const before = now.get(condition.type)
      condition.lastTransitionTime ??=
        (before?.status === condition.status ? before.lastTransitionTime : undefined) ?? condition.lastUpdateTime
    }
  },
  validate({ spec, status }, faults) {
    if (!spec) return faults.required('spec')
    validateRequest(spec.request ?? '', faults)
    validateSigner('spec.signerName', spec.signerName, faults)
    if (!spec.usages?.length) faults.required('spec.usages')
    const repeated = repeats()
    for (const [i, usage] of (spec.usages ?? []).entries()) {
      if (!usages.includes(usage)) faults.notSupported(`spec.usages[${i}]`, usage, usages)
      if (repeated(usage)) faults.duplicate(`spec.usages[${i}]`, usage)
    }
    if (spec.expirationSeconds !== undefined && spec.expirationSeconds < shortest)
      faults.invalid(
        'spec.expirationSeconds',
        spec.expirationSeconds,
        `may not specify a duration less than ${shortest} seconds (10 minutes)`,
      )
    validateConditions(status?.conditions ?? [], faults)
  },
  validateUpdate({ status: next }, { status: previous }, faults, subresource) {
    const before = previous?.conditions ?? []
    const after = next?.conditions ?? []
    for (const type of [...decisions, 'Failed']) {
      const [old, now] = [before.filter((c) => c.type === type), after.filter((c) => c.type === type)]
      const kept = new Set(now.map((c) => JSON.stringify(withoutWords(c))))
      if (now.length < old.length || old.some((c) => !kept.has(JSON.stringify(withoutWords(c)))))
        faults.forbidden('status.conditions', `updates may not remove a condition of type ${JSON.stringify(type)}`)
      if (now.length > old.length && (subresource === 'approval') !== decisions.includes(type))
        faults.forbidden('status.conditions', `updates may not add a condition of type ${JSON.stringify(type)}`)
    }
    if (subresource !== 'status' && next?.certificate !== previous?.certificate)
      faults.forbidden('status.certificate', 'updates may not set certificate content')
    if (previous?.certificate && next?.certificate !== previous.certificate)
      faults.forbidden('status.certificate', 'updates may not modify existing certificate content')
  },
}

const withoutWords = ({ type, status }: Condition) => ({ type, status })

function validateRequest(request: string, faults: Faults): void {
  const pem = Buffer.from(request, 'base64').toString('latin1')
  const [, body] =
    /^-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----\r?\n([\w+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/m.exec(pem) ?? []
  if (body === undefined) return faults.invalid('spec.request', request, 'PEM block type must be CERTIFICATE REQUEST')
  const der = Buffer.from(body, 'base64')
  // A DER sequence that is as long as it says; who signs it reads the rest.
  const [tag, length = 0] = der
  const size = length < 0x80 ? 2 + length : 2 + (length & 0x7f) + Number(`0x${der.subarray(2, 2 + (length & 0x7f)).toString('hex') || '0'}`)
  if (tag !== 0x30 || size !== der.length) faults.invalid('spec.request', request, 'asn1: structure error')
}

function validateConditions(conditions: readonly Condition[], faults: Faults): void {
  const seen = new Set<string>()
  for (const [i, { type, status }] of conditions.entries()) {
    const at = `status.conditions[${i}]`
    if (!type) faults.required(`${at}.type`)
    if (!status) faults.required(`${at}.status`)
    else if ([...decisions, 'Failed'].includes(type) && status !== 'True') faults.notSupported(`${at}.status`, status, ['True'])
    else if (!['True', 'False', 'Unknown'].includes(status)) faults.notSupported(`${at}.status`, status, ['False', 'True', 'Unknown'])
    if (seen.has(type)) faults.duplicate(`${at}.type`, type)
    seen.add(type)
  }
  if (seen.has('Approved') && seen.has('Denied'))
    faults.invalid('status.conditions', 'Denied', 'Approved and Denied conditions are mutually exclusive')
}
