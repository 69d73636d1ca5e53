// A node speaks for itself only (NodeRestriction): its own Node object, and the pods that are bound to it.

import type { Node, Pod } from '#api/types/core-v1.gen.ts'
import { nodeOf } from '#control/auth/user.ts'
import { type Admission, forbidden, isKind } from './admission.ts'

/** Labels with this prefix are for administrators, to keep work off nodes that are not trusted with it. */
const reserved = 'node-restriction.kubernetes.io/'

export const nodeRestriction: Admission = {
  name: 'NodeRestriction',
  validate(review) {
    const node = nodeOf(review.user)
    if (node === undefined) return
    if (isKind(review, '', 'Node')) {
      if (review.name !== node)
        throw forbidden(review, `node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(review.name)}`)
      const before = (review.previous as Node | undefined)?.metadata.labels ?? {}
      const after = review.object.metadata.labels ?? {}
      const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
        (k) => k.startsWith(reserved) && before[k] !== after[k],
      )
      if (changed.length > 0) throw forbidden(review, `is not allowed to modify labels: ${changed.join(', ')}`)
      if (review.operation === 'UPDATE' && review.subresource === '' && !sameTaints(review.previous as Node, review.object as Node)) {
        throw forbidden(review, `node ${JSON.stringify(node)} is not allowed to modify taints`)
      }
    }
    if (isKind(review, '', 'Pod')) {
      const pod = (review.previous ?? review.object) as Pod
      if (review.operation === 'CREATE' || pod.spec.nodeName !== node) {
        throw forbidden(review, `node ${JSON.stringify(node)} can only update pods with spec.nodeName set to itself`)
      }
    }
  },
}

const sameTaints = (a: Node, b: Node) => JSON.stringify(a.spec.taints ?? []) === JSON.stringify(b.spec.taints ?? [])
