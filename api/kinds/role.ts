import { Role } from './index.ts'
import { nameColumn } from './rules/columns.ts'
import { createdAtColumn } from './rules/created-at.ts'
import { isPathSegment } from './rules/forms.ts'
import { validateRules } from './rules/rbac-rules.ts'
import type { KindSpec } from './spec.ts'

export const role: KindSpec<Role> = {
  kind: Role,
  singular: 'role',
  nameRule: isPathSegment,
  columns: [nameColumn, createdAtColumn],
  validate({ rules }, faults) {
    validateRules(rules, true, faults)
  },
}
