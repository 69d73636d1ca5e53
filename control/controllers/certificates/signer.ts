// Kubernetes' own signers: what each asks of a request, and what its certificates are good for.
// https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/#kubernetes-signers

import type { Asked } from '#api/x509/asked.ts'
import { reservedName } from '../../auth/reserved-names.ts'
import { nodesGroup } from '../../auth/user.ts'

export type Request = { asked: Asked; usages: readonly string[]; username: string }

export type Signer = {
  usage: 'client' | 'server'
  /** What is wrong with a request; undefined: nothing. */
  fault(request: Request): string | undefined
}

/** All of `needed` and nothing but these and `allowed`. */
function usageFault(usages: readonly string[], needed: readonly string[], allowed: readonly string[]): string | undefined {
  const missing = needed.find((usage) => !usages.includes(usage))
  if (missing) return `usages did not contain ${missing}`
  const extra = usages.find((usage) => !needed.includes(usage) && !allowed.includes(usage))
  return extra && `usage ${extra} is not allowed by this signer`
}

const nodeName = 'system:node:'

function nodeFault({ commonName, organizations, emails, uris }: Asked): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== nodesGroup) return `subject organization is not ${nodesGroup}`
  if (!commonName.startsWith(nodeName) || commonName.length === nodeName.length)
    return `subject common name does not begin with ${nodeName}`
  if (emails.length > 0) return 'email subjectAltNames are not allowed'
  return uris.length > 0 ? 'URI subjectAltNames are not allowed' : undefined
}

export const signers: ReadonlyMap<string, Signer> = new Map<string, Signer>([
  [
    'kubernetes.io/kube-apiserver-client',
    {
      usage: 'client',
      // Looked at again: admission may have been another's, or older.
      fault({ asked, usages }) {
        const reserved = reservedName(asked)
        return reserved ? `${reserved} is not allowed` : usageFault(usages, ['client auth'], ['digital signature', 'key encipherment'])
      },
    },
  ],
  [
    'kubernetes.io/kube-apiserver-client-kubelet',
    {
      usage: 'client',
      fault: ({ asked, usages }) =>
        nodeFault(asked) ??
        (asked.dnsNames.length > 0 ? 'DNS subjectAltNames are not allowed' : undefined) ??
        (asked.addresses.length > 0 ? 'IP subjectAltNames are not allowed' : undefined) ??
        usageFault(usages, ['digital signature', 'client auth'], ['key encipherment']),
    },
  ],
  [
    'kubernetes.io/kubelet-serving',
    {
      usage: 'server',
      fault: ({ asked, usages, username }) =>
        nodeFault(asked) ??
        (asked.dnsNames.length + asked.addresses.length === 0 ? 'at least one DNS or IP subjectAltName is required' : undefined) ??
        (asked.commonName === username ? undefined : `subject common name is not the name of who asks, ${username}`) ??
        usageFault(usages, ['digital signature', 'server auth'], ['key encipherment']),
    },
  ],
])
