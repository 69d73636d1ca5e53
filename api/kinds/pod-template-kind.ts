import { PodTemplate } from './index.ts'
import { labelsText, nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { templateWarnings } from './rules/pod-warnings.ts'
import { validatePodTemplate } from './rules/template-validation.ts'
import type { KindSpec } from './spec.ts'

const of = (t: PodTemplate) => t.template?.spec?.containers ?? []

export const podTemplate: KindSpec<PodTemplate> = {
  kind: PodTemplate,
  singular: 'podtemplate',
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    {
      name: 'Containers',
      cell: (t) =>
        of(t)
          .map((c) => c.name)
          .join(','),
    },
    {
      name: 'Images',
      cell: (t) =>
        of(t)
          .map((c) => c.image ?? '')
          .join(','),
    },
    { name: 'Pod Labels', cell: (t) => labelsText(t.template?.metadata?.labels) },
  ],
  defaults({ template }) {
    if (template?.spec) defaultPodSpec(template.spec)
  },
  warnings: ({ template }) => templateWarnings(template, 'template'),
  validate({ template }, faults) {
    validatePodTemplate('template', template, faults)
  },
}
