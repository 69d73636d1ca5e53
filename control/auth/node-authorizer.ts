// What a node's agent may do: keep its own Node, Lease and pods, and read what its pods need. A node
// that is broken into must not reach what other nodes have. A resource is one of its group: a custom
// `secrets.example.com` is none of the kinds that are named here.

import { volumesOfNode } from '#api/local-volumes.ts'
import type { Authorizer, ResourceAttempt } from './authorizer.ts'
import { nodeOf } from './user.ts'

const reads = ['get', 'list', 'watch']
/** Read by the network, the proxy and DNS of every node. */
const readable = new Set([
  'namespaces',
  'services',
  'endpoints',
  'nodes',
  'endpointslices.discovery.k8s.io',
  'networkpolicies.networking.k8s.io',
  'runtimeclasses.node.k8s.io',
  'csidrivers.storage.k8s.io',
])

/** Read by name, and only where a pod of the node needs it. */
const used = new Set(['configmaps', 'secrets', 'persistentvolumeclaims', 'persistentvolumes', 'volumeattachments.storage.k8s.io'])

/** Every node's name server follows this ConfigMap of kube-system. */
const nameServerSettings = 'coracle-dns'

/** What the names of those leases begin with (agent/announce). */
export const addressLeases = 'load-balancer-'
export const nodeLeases = 'kube-node-lease'

export type NodeFacts = {
  /** The node that a pod is bound to. */
  nodeOfPod(namespace: string, name: string): string | undefined
  /** Whether a pod on `node` mounts or reads this object, or runs as this service account. `namespace` is '' for what has none. */
  nodeUses(node: string, resource: string, namespace: string, name: string): boolean
  /** Whether the PersistentVolume is one of the node's own. */
  nodeKeeps(node: string, name: string): boolean
}

export const nodeAuthorizer =
  (facts: NodeFacts): Authorizer =>
  (attempt) => {
    const node = nodeOf(attempt.user)
    if (node === undefined || attempt.resource === undefined) return undefined
    return mayNode(facts, node, attempt) ? `node ${node}` : undefined
  }

function mayNode(facts: NodeFacts, node: string, attempt: ResourceAttempt): boolean {
  const { verb, group, resource, subresource, namespace, name } = attempt
  const read = reads.includes(verb)
  const full = group ? `${resource}.${group}` : resource
  if (subresource === '' && read && readable.has(full)) return true
  if (subresource === '' && full === 'persistentvolumes' && mayOwnVolume(facts, node, attempt)) return true
  if (subresource === '' && used.has(full)) {
    if (read && full === 'configmaps' && namespace === 'kube-system' && name === nameServerSettings) return true
    // A watch on one object, or a read of it.
    return read && name !== undefined && facts.nodeUses(node, resource, namespace ?? '', name)
  }
  switch (full) {
    case 'nodes':
      // Its name is not known yet when it registers: admission holds it to its own.
      if (verb === 'create' && subresource === '') return true
      return name === node && (subresource === '' || subresource === 'status') && ['get', 'update', 'patch'].includes(verb)
    case 'pods': {
      const own = namespace !== undefined && name !== undefined && facts.nodeOfPod(namespace, name) === node
      // Of other nodes' pods a list or watch shows what policies need, and no more (control/server/objects/narrow.ts).
      if (subresource === '') return verb === 'list' || verb === 'watch' || (own && (verb === 'get' || verb === 'delete'))
      return subresource === 'status' && own && ['get', 'update', 'patch'].includes(verb)
    }
    case 'leases.coordination.k8s.io':
      if (namespace !== nodeLeases || subresource !== '') return false
      // Admission holds a new one to a name of the node's.
      if (verb === 'create') return true
      // Those of load balancer addresses are every node's: whoever holds one announces the address.
      if (name === undefined) return verb === 'list' || verb === 'watch'
      return (name === node || name.startsWith(addressLeases)) && ['get', 'update', 'patch', 'delete'].includes(verb)
    case 'events':
    case 'events.events.k8s.io':
      return subresource === '' && ['create', 'update', 'patch'].includes(verb)
    case 'serviceaccounts':
      if (namespace === undefined || name === undefined || !facts.nodeUses(node, resource, namespace, name)) return false
      return subresource === 'token' ? verb === 'create' : subresource === '' && verb === 'get'
    case 'certificatesigningrequests.certificates.k8s.io':
      // For itself: who asks is written down by the server (control/admission/certificate-request.ts).
      return subresource === '' && (verb === 'create' || (name !== undefined && reads.includes(verb)))
    case 'tokenreviews.authentication.k8s.io':
    case 'subjectaccessreviews.authorization.k8s.io':
      return subresource === '' && verb === 'create'
    default:
      return false
  }
}

/** It makes its own volumes and takes them away, whoever uses them; admission says what it may write. */
function mayOwnVolume(facts: NodeFacts, node: string, { verb, name, labelSelector }: ResourceAttempt): boolean {
  if (name === undefined) return (verb === 'list' || verb === 'watch') && labelSelector === volumesOfNode(node)
  return (verb === 'get' || verb === 'patch') && facts.nodeKeeps(node, name)
}
