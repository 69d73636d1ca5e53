// A node speaks for itself only (NodeRestriction): its own Node object and leases, and the pods that are bound to it.
// Which tokens it gets is in control/server/routes/token.ts.

import { same } from '#api/kinds/rules/faults.ts'
import { localFinalizer, problemAnnotation, sizeAnnotation } from '#api/local-volumes.ts'
import type { Lease } from '#api/types/coordination-v1.gen.ts'
import type { Node, PersistentVolume, Pod } from '#api/types/core-v1.gen.ts'
import { addressLeases, nodeLeases } from '#control/auth/node-authorizer.ts'
import { nodeOf } from '#control/auth/user.ts'
import { type Admission, forbidden, isKind, type Review } from './admission.ts'

/** Labels with this prefix are for administrators, to keep work off nodes that are not trusted with it. */
const restricted = 'node-restriction.kubernetes.io'

/** Of the labels that are Kubernetes' own a node may give itself these, and what is below these prefixes. */
const own = new Set([
  'kubernetes.io/hostname',
  'kubernetes.io/arch',
  'kubernetes.io/os',
  'beta.kubernetes.io/arch',
  'beta.kubernetes.io/os',
  'beta.kubernetes.io/instance-type',
  'node.kubernetes.io/instance-type',
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
])
const ownPrefixes = ['kubelet.kubernetes.io', 'node.kubernetes.io']

const below = (domain: string, parent: string) => domain === parent || domain.endsWith(`.${parent}`)

function isForbidden(label: string): boolean {
  const [domain = '', name] = label.split('/')
  if (name === undefined) return false
  if (below(domain, restricted)) return true
  if (!below(domain, 'kubernetes.io') && !below(domain, 'k8s.io')) return false
  return !own.has(label) && !ownPrefixes.some((prefix) => below(domain, prefix))
}

export const nodeRestriction: Admission = {
  name: 'NodeRestriction',
  validate(review) {
    const node = nodeOf(review.user)
    if (node === undefined) return
    if (isKind(review, '', 'Node')) ownNode(review, node)
    else if (isKind(review, '', 'Pod')) ownPod(review, node)
    else if (isKind(review, '', 'PersistentVolume')) ownVolume(review, node)
    else if (isKind(review, 'coordination.k8s.io', 'Lease')) ownLease(review, node)
  },
}

function ownNode(review: Review, node: string): void {
  if (review.name !== node)
    throw forbidden(review, `node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(review.name)}`)
  if (review.operation === 'DELETE') return
  const object = review.object as Node
  const previous = review.previous as Node | undefined
  const before = previous?.metadata.labels ?? {}
  const after = object.metadata.labels ?? {}
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((label) => before[label] !== after[label] && isForbidden(label))
    .toSorted()
  if (changed.length > 0)
    throw forbidden(
      review,
      previous
        ? `is not allowed to modify labels: ${changed.join(', ')}`
        : `is not allowed to set the following labels: ${changed.join(', ')}`,
    )
  if (!same(previous?.metadata.ownerReferences ?? [], object.metadata.ownerReferences ?? []))
    throw forbidden(review, `node ${JSON.stringify(node)} is not allowed to modify ownerReferences`)
  // Every other node sends there what is for it.
  if (!same(rangesOf(previous), rangesOf(object)))
    throw forbidden(review, `node ${JSON.stringify(node)} is not allowed to set or modify its podCIDRs`)
  if (previous && !same(previous.spec.taints ?? [], object.spec.taints ?? []))
    throw forbidden(review, `node ${JSON.stringify(node)} is not allowed to modify taints`)
}

function ownPod(review: Review, node: string): void {
  const pod = (review.previous ?? review.object) as Pod
  if (review.operation === 'CREATE' || pod.spec.nodeName !== node)
    throw forbidden(review, `node ${JSON.stringify(node)} can only update pods with spec.nodeName set to itself`)
  if (review.operation === 'UPDATE' && !sameMap(review.previous?.metadata.labels, review.object.metadata.labels))
    throw forbidden(review, `node ${JSON.stringify(node)} cannot update labels through pod status`)
}

/** That it is one of its own the authorizer has seen. What it says of it: how large it is, what went wrong, that it is gone. */
function ownVolume(review: Review, node: string): void {
  const previous = review.previous as PersistentVolume | undefined
  const object = review.object as PersistentVolume
  const others = ({ metadata, spec, status }: PersistentVolume) => {
    const { [sizeAnnotation]: _, [problemAnnotation]: __, ...annotations } = metadata.annotations ?? {}
    const finalizers = (metadata.finalizers ?? []).filter((name) => name !== localFinalizer)
    return { annotations, labels: metadata.labels ?? {}, owners: metadata.ownerReferences ?? [], finalizers, spec, status }
  }
  if (review.operation !== 'UPDATE' || !previous || !same(others(previous), others(object)))
    throw forbidden(review, `node ${JSON.stringify(node)} can only say of its own volumes how large they are and that they are gone`)
}

function ownLease(review: Review, node: string): void {
  const { name, namespace } = review
  if (namespace !== nodeLeases) throw forbidden(review, `can only access leases in the ${JSON.stringify(nodeLeases)} system namespace`)
  if (name !== node && !name.startsWith(addressLeases))
    throw forbidden(review, 'can only access node lease with the same name as the requesting node')
  if (review.operation === 'DELETE') return
  const { holderIdentity: holder } = (review.object as Lease).spec ?? {}
  if (holder && holder !== node) throw forbidden(review, `node ${JSON.stringify(node)} can only hold a lease itself`)
}

const rangesOf = (node: Node | undefined): unknown[] => [node?.spec?.podCIDR ?? '', ...(node?.spec?.podCIDRs ?? [])]

const sameMap = (a: Readonly<Record<string, string>> = {}, b: Readonly<Record<string, string>> = {}) =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([key, value]) => b[key] === value)
