import { ComponentStatus } from './index.ts'
import { nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const healthy = ({ conditions }: ComponentStatus) => conditions?.find((c) => c.type === 'Healthy')

/** Made when asked for; nothing is stored. */
export const componentStatus: KindSpec<ComponentStatus> = {
  kind: ComponentStatus,
  singular: 'componentstatus',
  shortNames: ['cs'],
  verbs: ['get', 'list'],
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    {
      name: 'Status',
      cell(c) {
        const condition = healthy(c)
        return condition ? (condition.status === 'True' ? 'Healthy' : 'Unhealthy') : 'Unknown'
      },
    },
    { name: 'Message', cell: (c) => healthy(c)?.message ?? '' },
    { name: 'Error', cell: (c) => healthy(c)?.error ?? '' },
  ],
}
