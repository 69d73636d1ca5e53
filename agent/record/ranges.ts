// The ranges of addresses that this node has for its pods: from the server or, where that does not answer, as
// they were.

import type { Informer } from '#api/informer/informer.ts'
import type { Pod } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { NodeAgent } from '../node/node.ts'
import type { AgentRecord } from './record.ts'

const NAME = 'pod ranges'

export type Ranges = {
  readonly first: Promise<readonly string[]>
  /** Resolves with the server's, where these are others; undefined where they are the same. */
  readonly others: Promise<readonly string[] | undefined>
}

/** `assigned` tells whether the server answers. */
export function rangesOf(deps: { node: Pick<NodeAgent, 'podCIDRs'>; record: AgentRecord; assigned: Informer<Pod>; log: Log }): Ranges {
  const { node, record, assigned, log } = deps
  const kept = record.take(NAME) as readonly string[] | undefined
  const told = node.podCIDRs()
  const first = kept ? Promise.race([told, unheard(assigned).then((alone) => (alone ? kept : told))]) : told
  const others = (async () => {
    const [now, used] = await Promise.all([told, first])
    record.set(NAME, () => now)
    if (now.join() === used.join()) return undefined
    log.warn({ now, before: used }, 'the server has given this node other ranges of addresses: its pods get new ones')
    return now
  })()
  return { first, others }
}

/** Whether there is something to work with before the server has told it. */
async function unheard({ synced, heard }: Informer<Pod>): Promise<boolean> {
  let answered = false
  void heard.then(() => (answered = true))
  await synced
  // Both resolve in one turn where the server has answered.
  await Promise.resolve()
  return !answered
}
