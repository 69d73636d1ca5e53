// The column of kinds for which Kubernetes has no printer of their own.

import type { Column } from '../spec.ts'

export const createdAtColumn: Column = { name: 'Created At', cell: (object) => object.metadata.creationTimestamp ?? '<unknown>' }
