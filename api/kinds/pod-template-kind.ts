import type { PodTemplate as PodTemplateType } from '../types/core-v1.gen.ts'
import { labelsText, nameColumn, templateColumns } from './columns.ts'
import { PodTemplate } from './index.ts'
import { isDns1123Subdomain } from './names.ts'
import { defaultPodSpec } from './pod-template.ts'
import type { KindSpec } from './spec.ts'
import { validatePodTemplate } from './template-validation.ts'

const [containers, images] = templateColumns<PodTemplateType>(
  (t) => t.template?.spec?.containers ?? [],
  () => undefined,
).map(({ name, cell }) => ({ name, cell }))

export const podTemplate: KindSpec<PodTemplateType> = {
  kind: PodTemplate,
  singular: 'podtemplate',
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, containers!, images!, { name: 'Pod Labels', cell: (t) => labelsText(t.template?.metadata?.labels) }],
  defaults({ template }) {
    if (template?.spec) defaultPodSpec(template.spec)
  },
  validate({ template }, faults) {
    validatePodTemplate('template', template, faults)
  },
}
