// What nodes and pods use now (metrics.k8s.io): made when asked for, nothing is stored.

import { NodeMetrics, PodMetrics } from './index.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

export const nodeMetrics: KindSpec<NodeMetrics> = {
  kind: NodeMetrics,
  singular: 'nodemetrics',
  verbs: ['get', 'list'],
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'cpu', cell: ({ usage }) => usage.cpu ?? '' },
    { name: 'memory', cell: ({ usage }) => usage.memory ?? '' },
    { name: 'window', cell: ({ window }) => window },
    ageColumn,
  ],
}

export const podMetrics: KindSpec<PodMetrics> = {
  kind: PodMetrics,
  singular: 'podmetrics',
  verbs: ['get', 'list'],
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'containers', type: 'integer', cell: ({ containers }) => containers.length },
    { name: 'window', cell: ({ window }) => window },
    ageColumn,
  ],
}
