import type { RoleBinding as RoleBindingType } from '../types/rbac-v1.gen.ts'
import { isPathSegment } from './forms.ts'
import { RoleBinding } from './index.ts'
import { bindingColumns, defaultBinding, validateBinding, validateRoleRef } from './rbac-rules.ts'
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
