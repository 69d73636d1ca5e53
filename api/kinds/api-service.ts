import type { APIServiceCondition } from '../types/apiregistration-v1.gen.ts'
import { APIService } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1035Label, isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const standardPort = 443
const most = { groupPriorityMinimum: 20_000, versionPriority: 1000 }

export const availabilityOf = ({ status }: APIService): APIServiceCondition | undefined =>
  status?.conditions?.find((c) => c.type === 'Available')

/** `v1.` for the core group. */
export const apiServiceName = ({ group, version }: { group: string; version: string }): string => `${version}.${group}`

export const apiService: KindSpec<APIService> = {
  kind: APIService,
  singular: 'apiservice',
  categories: ['api-extensions'],
  status: true,
  statusMeta: [],
  nameRule: (name) => isDns1123Subdomain(name.endsWith('.') ? name.slice(0, -1) : name),
  anyFinalizer: true,
  columns: [
    nameColumn,
    { name: 'Service', cell: ({ spec: { service } }) => (service ? `${service.namespace}/${service.name}` : 'Local') },
    {
      name: 'Available',
      cell(service) {
        const condition = availabilityOf(service)
        if (!condition) return 'Unknown'
        return condition.status === 'True' ? 'True' : `${condition.status} (${condition.reason})`
      },
    },
    ageColumn,
  ],
  defaults({ spec }) {
    if (spec?.service) spec.service.port ??= standardPort
  },
  prepareCreate(service) {
    service.status = {}
  },
  validateUpdate({ status }, _previous, faults, subresource) {
    if (subresource !== 'status') return
    for (const [i, condition] of (status?.conditions ?? []).entries())
      faults.oneOf(`status.conditions[${i}].status`, condition.status, ['True', 'False', 'Unknown'])
  },
  validate({ metadata: { name }, spec }, faults) {
    const { group = '', version = '', service } = spec
    const wanted = apiServiceName({ group, version })
    if (name !== wanted) faults.invalid('metadata.name', name, `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`)
    if (group) faults.each('spec.group', group, isDns1123Subdomain(group))
    if (!version) faults.required('spec.version')
    else faults.each('spec.version', version, isDns1035Label(version))
    for (const field of ['groupPriorityMinimum', 'versionPriority'] as const) {
      const value = spec[field]
      if (value <= 0 || value > most[field]) faults.invalid(`spec.${field}`, value, `must be positive and less than ${most[field]}`)
    }
    if (service) validateRemote(spec, service, faults)
    else {
      if (spec.caBundle) faults.forbidden('spec.caBundle', 'local APIServices may not have a caBundle')
      if (spec.insecureSkipTLSVerify) faults.forbidden('spec.insecureSkipTLSVerify', 'local APIServices may not have insecureSkipTLSVerify')
    }
  },
}

type Spec = APIService['spec']

function validateRemote(spec: Spec, { namespace, name, port }: NonNullable<Spec['service']>, faults: Faults): void {
  if (!namespace) faults.required('spec.service.namespace')
  if (!name) faults.required('spec.service.name')
  if (port !== undefined) faults.port('spec.service.port', port)
  if (spec.insecureSkipTLSVerify && spec.caBundle)
    faults.invalid('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present')
}
