// Removes leases that nobody renews any more: of nodes that are gone, and of servers that were. Leases in other
// namespaces are their writers' business. Only the passing of time counts, as this process has seen it, since
// the times in a lease are of clocks that may be wrong.

import { isStatus } from '#api/errors.ts'
import { Lease, Node } from '#api/kinds/index.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'

const keptMs = 3_600_000
const nodes = { namespace: 'kube-node-lease' }
/** Those of API servers, by which they tell that they live. */
const servers = { namespace: 'kube-system', labelSelector: 'apiserver.kubernetes.io/identity' }

export function leaseGc({ client, informers, clock, log }: Deps): Reconciler {
  const ofNodes = informers.of(Lease, nodes)
  const ofServers = informers.of(Lease, servers)
  const known = informers.of(Node)
  const seen = new Map<string, { version: string; at: number }>()
  return {
    name: 'lease-gc',
    watches: [of(Lease, nodes), of(Lease, servers)],
    workers: 1,
    async reconcile(key, signal) {
      const lease = ofNodes.get(key) ?? ofServers.get(key)
      if (!lease) {
        seen.delete(key)
        return done
      }
      const version = lease.metadata.resourceVersion ?? ''
      let row = seen.get(key)
      if (row?.version !== version) {
        row = { version, at: clock.monotonic() }
        seen.set(key, row)
      }
      const left = row.at + keptMs - clock.monotonic()
      if (left > 0) return after(left)
      // A node that is away may come back; its lease goes when it does.
      if (known.get(lease.metadata.name) && lease.metadata.namespace === nodes.namespace) return after(keptMs)
      log.info({ lease: key }, 'removing a lease that nobody renews')
      const preconditions = { uid: lease.metadata.uid, resourceVersion: version }
      await client.delete(Lease, refOf(lease), { preconditions, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound', 'Conflict')) throw error
      })
      return done
    },
  }
}
