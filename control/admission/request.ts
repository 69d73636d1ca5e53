// A request in the form of admission.k8s.io/v1 AdmissionRequest: what webhooks are sent, and what
// expressions of policies know as `request`.

import type { Kind } from '#api/kinds/kind.ts'
import type { JsonObject } from '#api/schema/decode.ts'
import type { GroupVersionKind, GroupVersionResource } from '#api/types/meta-v1.gen.ts'
import { isKind, type Review } from './admission.ts'
import type { ServedVersion } from './served-version.ts'

/** Without its objects, and without the id that is drawn for each webhook. */
export function requestOf(review: Review, { kind }: ServedVersion): JsonObject {
  const { subresource, form, user, operation, name, dryRun, options } = review
  const sub = subresource && { subResource: subresource }
  // A namespace is in itself.
  const namespace = review.namespace ?? (isKind(review, '', 'Namespace') ? name : undefined)
  const requestSub = subresource && { requestSubResource: subresource }
  return {
    kind: form?.kind ?? kindIn(kind),
    resource: resourceIn(kind),
    ...sub,
    requestKind: form?.kind ?? kindIn(review.kind),
    requestResource: resourceIn(review.kind),
    ...requestSub,
    ...(name && { name }),
    ...(namespace !== undefined && { namespace }),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid && { uid: user.uid }),
      groups: [...user.groups],
      ...(user.extra && { extra: user.extra }),
    },
    dryRun,
    options: Object.keys(options).length > 0 ? options : null,
  }
}

const kindIn = ({ group, version, kind }: Kind): GroupVersionKind => ({ group, version, kind })
const resourceIn = ({ group, version, plural }: Kind): GroupVersionResource => ({ group, version, resource: plural })
