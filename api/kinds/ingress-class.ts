import { IngressClass } from './index.ts'
import { validateTypedReference } from './ingress.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { validateDomainPath } from './rules/forms.ts'
import { isDns1123Label, isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const longestController = 250

export const ingressClass: KindSpec<IngressClass> = {
  kind: IngressClass,
  singular: 'ingressclass',
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Controller', cell: (c) => c.spec.controller ?? '' },
    {
      name: 'Parameters',
      cell({ spec: { parameters: p } }) {
        return p ? `${p.kind}${p.apiGroup === undefined ? '' : `.${p.apiGroup}`}/${p.name}` : none
      },
    },
    ageColumn,
  ],
  defaults({ spec }) {
    if (spec?.parameters) spec.parameters.scope ??= 'Cluster'
  },
  validate({ spec }, faults) {
    const { controller = '', parameters } = spec ?? {}
    if (controller.length > longestController) faults.tooLong('spec.controller', longestController)
    validateDomainPath('spec.controller', controller, faults)
    if (!parameters) return
    const at = 'spec.parameters'
    validateTypedReference(at, parameters, faults)
    const { scope, namespace } = parameters
    faults.oneOf(`${at}.scope`, scope, ['Cluster', 'Namespace'])
    if (scope === 'Namespace') {
      if (namespace === undefined) faults.required(`${at}.namespace`, "`parameters.scope` is set to 'Namespace'")
      else faults.each(`${at}.namespace`, namespace, isDns1123Label(namespace))
    }
    if (scope === 'Cluster' && namespace !== undefined) faults.forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'")
  },
  validateUpdate(next, previous, faults) {
    faults.immutable('spec.controller', next.spec.controller, previous.spec.controller)
  },
}
