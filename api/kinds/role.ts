import type { Role as RoleType } from '../types/rbac-v1.gen.ts'
import { nameColumn } from './columns.ts'
import { createdAtColumn } from './created-at.ts'
import { isPathSegment } from './forms.ts'
import { Role } from './index.ts'
import { validateRules } from './rbac-rules.ts'
import type { KindSpec } from './spec.ts'

export const role: KindSpec<RoleType> = {
  kind: Role,
  singular: 'role',
  nameRule: isPathSegment,
  columns: [nameColumn, createdAtColumn],
  validate({ rules }, faults) {
    validateRules(rules, true, faults)
  },
}
