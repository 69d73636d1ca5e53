// The kernel keeps a flow's translation for as long as packets come: those that lead to where they must
// not are forgotten by name.

import type { Conntrack } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { StaleFlows } from './plan.ts'

/** Not worth failing for: flows end by themselves when they pause. */
export const forgetFlows = async (stale: readonly StaleFlows[], conntrack: Pick<Conntrack, 'remove'>, log: Log): Promise<void> => {
  if (stale.length === 0) return
  try {
    await conntrack.remove(
      ...stale.map(({ frontend, backend }) => ({
        protocol: 'udp' as const,
        original: { ...(frontend.address !== undefined && { destination: frontend.address }), destinationPort: frontend.port },
        ...(backend && { reply: { source: backend.address, sourcePort: backend.port } }),
      })),
    )
  } catch (error) {
    log.warn({ err: error, flows: stale.length }, 'UDP flows to backends that are gone could not be forgotten')
  }
}
