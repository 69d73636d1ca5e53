import type { RoleBinding as RoleBindingType } from '../types/rbac-v1.gen.ts'
import { RoleBinding } from './index.ts'
import { isPathSegment } from './rules/forms.ts'
import { bindingColumns, defaultBinding, validateBinding, validateRoleRef } from './rules/rbac-rules.ts'
import type { KindSpec } from './spec.ts'

export const roleBinding: KindSpec<RoleBindingType> = {
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
