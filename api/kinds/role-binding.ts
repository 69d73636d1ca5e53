import { RoleBinding } from './index.ts'
import { isPathSegment } from './rules/forms.ts'
import { bindingColumns, defaultBinding, validateBinding, validateRoleRef } from './rules/rbac-rules.ts'
import type { KindSpec } from './spec.ts'

export const roleBinding: KindSpec<RoleBinding> = {
  kind: RoleBinding,
  singular: 'rolebinding',
  nameRule: isPathSegment,
  columns: bindingColumns,
  defaults: defaultBinding,
  validate(binding, faults) {
    validateBinding(binding, true, faults)
  },
  validateUpdate: validateRoleRef,
}
