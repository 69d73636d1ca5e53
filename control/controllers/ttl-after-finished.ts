// Deletes jobs some time after they have finished, if they ask for it, with their pods.

import { isStatus } from '#api/errors.ts'
import { Job } from '#api/kinds/index.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import { Ages } from './ages.ts'
import type { Deps } from './deps.ts'
import { finishedAs } from './job/conditions.ts'
import { refOf } from './ownership.ts'

export function ttlAfterFinished({ client, informers, clock, log }: Deps): Reconciler {
  const jobs = informers.of(Job)
  const ages = new Ages(clock)
  jobs.on({ delete: ({ metadata }) => ages.forget(metadata.uid) })
  return {
    name: 'ttl-after-finished',
    watches: [of(Job)],
    workers: 1,
    async reconcile(key, signal) {
      const job = jobs.get(key)
      const finished = job && finishedAs(job)
      const seconds = job?.spec.ttlSecondsAfterFinished
      if (!finished || seconds === undefined || job.metadata.deletionTimestamp) return done
      const { uid, resourceVersion } = job.metadata
      const left = seconds * 1000 - ages.of(uid, finished.lastTransitionTime)
      if (left > 0) return after(left)
      log.debug({ job: key }, 'deleting a job that has outlived its time')
      // With the version: whoever gives it more time meanwhile is heard.
      const preconditions = { uid, ...(resourceVersion && { resourceVersion }) }
      await client.delete(Job, refOf(job), { propagationPolicy: 'Foreground', preconditions, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
      return done
    },
  }
}
