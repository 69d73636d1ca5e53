import { ServiceAccount } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const mountableKey = 'kubernetes.io/enforce-mountable-secrets'

export const serviceAccount: KindSpec<ServiceAccount> = {
  kind: ServiceAccount,
  singular: 'serviceaccount',
  shortNames: ['sa'],
  subresources: [{ name: 'token', kind: { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' }, verbs: ['create'] }],
  nameRule: isDns1123Subdomain,
  *warnings({ metadata }, previous) {
    if (previous?.metadata.annotations?.[mountableKey] === undefined && metadata.annotations?.[mountableKey] !== undefined)
      yield `metadata.annotations[${mountableKey}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`
  },
  columns: [
    nameColumn,
    {
      name: 'Secrets',
      type: 'integer',
      description: 'Secrets is a list of the secrets that pods running as this service account may use.',
      cell: (account) => account.secrets?.length ?? 0,
    },
    ageColumn,
  ],
}
