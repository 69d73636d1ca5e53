// Nothing new in a namespace that is not there or is going (NamespaceLifecycle). Said before anything else
// looks at the object, as webhooks do.

import { StatusError } from '#api/errors.ts'
import { Namespace } from '#api/kinds/index.ts'
import type { Admission } from './admission.ts'
import { forbidden, isKind } from './admission.ts'
import type { Find } from './find.ts'

const kept = ['default', 'kube-system', 'kube-public']

export const namespaceLifecycle = ({ find }: { find: Find }): Admission => ({
  name: 'NamespaceLifecycle',
  async mutate(review) {
    if (review.operation === 'DELETE') {
      if (isKind(review, '', 'Namespace') && kept.includes(review.name)) throw forbidden(review, 'this namespace may not be deleted')
      return
    }
    if (review.operation !== 'CREATE' || !review.namespace) return
    const namespace = await find(Namespace, { name: review.namespace })
    if (!namespace) {
      throw new StatusError('NotFound', `namespaces ${JSON.stringify(review.namespace)} not found`, {
        name: review.namespace,
        kind: 'namespaces',
      })
    }
    if (namespace.metadata.deletionTimestamp || namespace.status?.phase === 'Terminating') {
      const message = `namespace ${review.namespace} is being terminated`
      throw forbidden(review, `unable to create new content in namespace ${review.namespace} because it is being terminated`, [
        { reason: 'NamespaceTerminating', message, field: 'metadata.namespace' },
      ])
    }
  },
})
