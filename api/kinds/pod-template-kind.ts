import type { PodTemplate as PodTemplateType } from '../types/core-v1.gen.ts'
import { labelsText, nameColumn } from './columns.ts'
import { PodTemplate } from './index.ts'
import { isDns1123Subdomain } from './names.ts'
import { defaultPodSpec } from './pod-template.ts'
import { templateWarnings } from './pod-warnings.ts'
import type { KindSpec } from './spec.ts'
import { validatePodTemplate } from './template-validation.ts'

const of = (t: PodTemplateType) => t.template?.spec?.containers ?? []

export const podTemplate: KindSpec<PodTemplateType> = {
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
