import { ClusterRoleBinding } from './index.ts'
import { isPathSegment } from './rules/forms.ts'
import { bindingColumns, defaultBinding, validateBinding, validateRoleRef } from './rules/rbac-rules.ts'
import type { KindSpec } from './spec.ts'

export const clusterRoleBinding: KindSpec<ClusterRoleBinding> = {
  kind: ClusterRoleBinding,
  singular: 'clusterrolebinding',
  nameRule: isPathSegment,
  columns: bindingColumns,
  defaults: defaultBinding,
  validate(binding, faults) {
    validateBinding(binding, false, faults)
  },
  validateUpdate: validateRoleRef,
}
