// Forgets events after an hour, so that they never fill the store.

import { isStatus } from '#api/errors.ts'
import { Event } from '#api/kinds/index.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'

const keptMs = 3_600_000

export function eventExpiry({ client, informers, clock }: Deps): Reconciler {
  const events = informers.of(Event)
  return {
    name: 'event-expiry',
    watches: [of(Event)],
    workers: 1,
    async reconcile(key, signal) {
      const event = events.get(key)
      if (!event) return done
      const last = Date.parse(
        event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp ?? '',
      )
      const left = last + keptMs - clock.now()
      // A clock that was set back must not keep events for years.
      if (left > 0) return after(Math.min(left, keptMs))
      await client.delete(Event, refOf(event), { preconditions: { uid: event.metadata.uid }, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
      return done
    },
  }
}
