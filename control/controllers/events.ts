// Forgets events an hour after they were last written, so that they never fill the store. The times that they
// carry are their senders' own, and decide nothing.

import { isStatus } from '#api/errors.ts'
import { Event } from '#api/kinds/index.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import { Ages } from './ages.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'

const keptMs = 3_600_000

export function eventExpiry({ client, informers, clock }: Deps): Reconciler {
  const events = informers.of(Event)
  const ages = new Ages(clock)
  /** Versions: whatever is written into one renews it. */
  const known = new Map<string, string>()
  return {
    name: 'event-expiry',
    watches: [of(Event)],
    workers: 1,
    async reconcile(key, signal) {
      const event = events.get(key)
      if (!event) {
        ages.forget(key)
        known.delete(key)
        return done
      }
      const { metadata } = event
      if (known.get(key) !== metadata.resourceVersion) ages.forget(key)
      known.set(key, metadata.resourceVersion ?? '')
      const left = keptMs - ages.of(key, writtenAt(event))
      if (left > 0) return after(left)
      await client.delete(Event, refOf(event), { preconditions: { uid: event.metadata.uid }, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
      return done
    },
  }
}

/** By the server's clock, for events from before this process. */
const writtenAt = ({ metadata }: Event): string | undefined =>
  metadata.managedFields?.map(({ time }) => time ?? '').reduce((a, b) => (a > b ? a : b), '') || metadata.creationTimestamp
