// What a node's agent may do: keep its own Node, Lease and pods, and read what its pods need. A node
// that is broken into must not reach what other nodes have.

import type { Authorizer, ResourceAttempt } from './authorizer.ts'
import { nodeOf } from './user.ts'

const reads = ['get', 'list', 'watch']
/** Read by the network, the proxy and DNS of every node. */
const readable = [
  'namespaces',
  'services',
  'endpoints',
  'endpointslices',
  'networkpolicies',
  'nodes',
  'pods',
  'runtimeclasses',
  'persistentvolumes',
  'persistentvolumeclaims',
  'csidrivers',
  'volumeattachments',
]

/** Every node's name server follows this ConfigMap of kube-system. */
const nameServerSettings = 'coracle-dns'

/** What the names of those leases begin with (agent/announce). */
const addressLeases = 'load-balancer-'

export type NodeFacts = {
  /** The node that a pod is bound to. */
  nodeOfPod(namespace: string, name: string): string | undefined
  /** Whether a pod on `node` mounts or reads this ConfigMap or Secret, or runs as this service account. */
  nodeUses(node: string, resource: string, namespace: string, name: string): boolean
}

export const nodeAuthorizer =
  (facts: NodeFacts): Authorizer =>
  (attempt) => {
    const node = nodeOf(attempt.user)
    if (node === undefined || attempt.resource === undefined) return undefined
    return mayNode(facts, node, attempt) ? `node ${node}` : undefined
  }

function mayNode(facts: NodeFacts, node: string, { verb, resource, subresource, namespace, name }: ResourceAttempt): boolean {
  const read = reads.includes(verb)
  if (read && subresource === '' && readable.includes(resource)) return true
  switch (resource) {
    case 'nodes':
      // Its name is not known yet when it registers: admission holds it to its own.
      if (verb === 'create' && subresource === '') return true
      return name === node && (subresource === '' || subresource === 'status') && ['get', 'update', 'patch'].includes(verb)
    case 'pods':
      if (namespace === undefined || name === undefined) return false
      if (subresource === 'status') return ['get', 'update', 'patch'].includes(verb) && facts.nodeOfPod(namespace, name) === node
      return verb === 'delete' && subresource === '' && facts.nodeOfPod(namespace, name) === node
    case 'leases':
      if (namespace !== 'kube-node-lease') return false
      if (verb === 'create') return true
      // Those of load balancer addresses are every node's: whoever holds one announces the address.
      if (name === undefined) return verb === 'list' || verb === 'watch'
      return (name === node || name.startsWith(addressLeases)) && ['get', 'update', 'patch', 'delete'].includes(verb)
    case 'events':
      return ['create', 'update', 'patch'].includes(verb)
    case 'configmaps':
    case 'secrets':
      if (read && resource === 'configmaps' && namespace === 'kube-system' && name === nameServerSettings) return true
      // A watch on one object, or a read of it: only what a pod of this node uses.
      return read && namespace !== undefined && name !== undefined && facts.nodeUses(node, resource, namespace, name)
    case 'serviceaccounts':
      if (namespace === undefined || name === undefined || !facts.nodeUses(node, resource, namespace, name)) return false
      return subresource === 'token' ? verb === 'create' : verb === 'get'
    case 'tokenreviews':
    case 'subjectaccessreviews':
      return verb === 'create'
    default:
      return false
  }
}
