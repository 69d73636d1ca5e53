import { mostBytes, validateKeys } from './config-map.ts'
import { Secret } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { validateFrozen } from './rules/meta.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

/** Keys that a secret of a type must hold. */
const requiredKeys = new Map([
  ['kubernetes.io/dockercfg', ['.dockercfg']],
  ['kubernetes.io/dockerconfigjson', ['.dockerconfigjson']],
  ['kubernetes.io/ssh-auth', ['ssh-privatekey']],
  ['kubernetes.io/tls', ['tls.crt', 'tls.key']],
])
/** What is JSON in secrets of a type. */
const configs = [
  ['kubernetes.io/dockercfg', '.dockercfg'],
  ['kubernetes.io/dockerconfigjson', '.dockerconfigjson'],
] as const
const serviceAccountName = 'kubernetes.io/service-account.name'

export const secret: KindSpec<Secret> = {
  kind: Secret,
  singular: 'secret',
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Type', description: 'Used to facilitate programmatic handling of secret data.', cell: (s) => s.type ?? '' },
    { name: 'Data', type: 'integer', description: 'Data contains the secret data.', cell: (s) => Object.keys(s.data ?? {}).length },
    ageColumn,
  ],
  fields: { type: (s) => s.type ?? '' },
  defaults(s) {
    s.type ??= 'Opaque'
    if (s.stringData) {
      s.data ??= {}
      for (const [key, value] of Object.entries(s.stringData)) s.data[key] = Buffer.from(value).toString('base64')
      delete s.stringData
    }
  },
  validate(s, faults) {
    if (validateKeys('data', s.data, (value) => (value.length / 4) * 3, faults) > mostBytes) faults.tooLong('data', mostBytes)
    for (const key of requiredKeys.get(s.type ?? '') ?? []) {
      if (s.data?.[key] === undefined) faults.required(`data[${key}]`)
    }
    for (const [type, key] of configs) {
      const config = s.type === type ? s.data?.[key] : undefined
      if (config !== undefined && !isJson(Buffer.from(config, 'base64').toString()))
        faults.invalid(`data[${key}]`, '<secret contents redacted>', 'invalid character looking for beginning of value')
    }
    if (s.type === 'kubernetes.io/basic-auth' && s.data?.username === undefined && s.data?.password === undefined) {
      faults.required('data[username]')
      faults.required('data[password]')
    }
    if (s.type === 'kubernetes.io/service-account-token' && !s.metadata.annotations?.[serviceAccountName]) {
      faults.required(`metadata.annotations[${serviceAccountName}]`)
    }
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('type', next.type, previous.type)
    validateFrozen(next, previous, faults)
  },
}

function isJson(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && !Array.isArray(value)
  } catch {
    return false
  }
}
