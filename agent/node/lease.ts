// The node's heartbeat: a Lease renewed every ten seconds. It is how the control plane knows that the
// node is there, and it costs a write of a few bytes that never reaches a disk.

import type { Client } from '#api/client/client.ts'
import { type Clock, microTimestamp, sleep } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Lease } from '#api/kinds/index.ts'
import type { Log } from '#api/log.ts'
import type { Node } from '#api/types/core-v1.gen.ts'

const NAMESPACE = 'kube-node-lease'
const DURATION_S = 40
const RENEW_MS = 10_000
const RETRY_MIN_MS = 500
const RETRY_MAX_MS = 7_000
/** After so long without a renewal the control plane may have called the node lost. */
const LAPSE_MS = 25_000

export type HeartbeatDeps = {
  client: Client
  clock: Clock
  random: () => number
  log: Log
  signal: AbortSignal
  /** The lease is renewed again after it was not for too long. */
  lapsed: () => void
}

/** Beats until the signal aborts; never throws. `node` is asked each time, since the Node may be made anew. */
export async function heartbeat(node: () => Node, { client, clock, random, log, signal, lapsed }: HeartbeatDeps): Promise<void> {
  let failures = 0
  let last = clock.monotonic()
  while (!signal.aborted) {
    try {
      await renew(node(), client, clock, signal)
      failures = 0
      const now = clock.monotonic()
      if (now - last > LAPSE_MS) lapsed()
      last = now
      await sleep(clock, RENEW_MS, signal)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error }, 'the node lease could not be renewed')
      await sleep(clock, Math.min(RETRY_MIN_MS * 2 ** failures++, RETRY_MAX_MS) * (0.5 + random()), signal)
    }
  }
}

async function renew({ metadata }: Node, client: Client, clock: Clock, signal: AbortSignal): Promise<void> {
  const { name } = metadata
  const spec = { holderIdentity: name, leaseDurationSeconds: DURATION_S, renewTime: microTimestamp(clock.now()) }
  try {
    await client.patch(Lease, { namespace: NAMESPACE, name }, 'merge', { spec }, { signal })
  } catch (error) {
    if (!isStatus(error, 'NotFound')) throw error
    const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid: metadata.uid }]
    await client.create(Lease, { metadata: { namespace: NAMESPACE, name, ownerReferences }, spec }, { signal })
  }
}
