// Removes tokens of service accounts that older Kubernetes put into Secrets by itself, which manifests of old bring
// along: they never end. This server accepts none of them. One that no pod mounts for a year is first marked, then,
// after another year, deleted. Secrets that an account does not list were made by people and stay.

import { timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { byNamespace } from '#api/informer/indexes.ts'
import { Pod, Secret, ServiceAccount } from '#api/kinds/index.ts'
import { keyOf } from '#api/kinds/kind.ts'
import { after, done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'

const select = { fieldSelector: 'type=kubernetes.io/service-account-token' }
const accountKey = 'kubernetes.io/service-account.name'
const lastUsed = 'kubernetes.io/legacy-token-last-used'
const invalidSince = 'kubernetes.io/legacy-token-invalid-since'
const dayMs = 86_400_000
const yearMs = 365 * dayMs
/** No clock that was right has shown less: what is dated before has no date. */
const plausibleFrom = Date.UTC(2014, 0, 1)

export function legacyTokens({ client, informers, clock, log }: Deps): Reconciler {
  const tokens = informers.of(Secret, select)
  const accounts = informers.of(ServiceAccount)
  const pods = informers.of(Pod)

  /** Put there by the cluster, and by no pod in use. */
  function isSpare({ metadata }: Secret): boolean {
    const namespace = metadata.namespace ?? ''
    const account = accounts.get(keyOf({ namespace, name: metadata.annotations?.[accountKey] ?? '' }))
    if (!account?.secrets?.some(({ name }) => name === metadata.name)) return false
    return !pods.by(byNamespace, namespace).some(({ spec }) => spec.volumes?.some(({ secret }) => secret?.secretName === metadata.name))
  }

  return {
    name: 'legacy-service-account-token-cleaner',
    watches: [
      of(Secret, select),
      mapped(ServiceAccount, ({ metadata, secrets }) =>
        (secrets ?? []).map(({ name = '' }) => keyOf({ namespace: metadata.namespace ?? '', name })),
      ),
    ],
    workers: 1,
    async reconcile(key, signal) {
      const token = tokens.get(key)
      if (!token) return done
      const { labels, creationTimestamp, uid, resourceVersion } = token.metadata
      const marked = Date.parse(labels?.[invalidSince] ?? '')
      if (!isSpare(token)) {
        if (labels?.[invalidSince] !== undefined) await mark(token, null, signal)
        return done
      }
      const now = clock.now()
      const since = Math.max(Date.parse(labels?.[lastUsed] ?? '') || 0, Date.parse(creationTimestamp ?? '') || 0)
      // A clock that is not set dates nothing.
      if (now < plausibleFrom || since < plausibleFrom) return after(dayMs)
      if (Number.isNaN(marked)) {
        if (now - since >= yearMs) await mark(token, timestamp(now).slice(0, 10), signal)
        return after(dayMs)
      }
      if (now - marked < yearMs) return after(dayMs)
      log.info({ secret: key }, 'removing a legacy service account token')
      const preconditions = { uid, ...(resourceVersion && { resourceVersion }) }
      await client.delete(Secret, refOf(token), { preconditions, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
      return done
    },
  }

  async function mark(token: Secret, date: string | null, signal: AbortSignal): Promise<void> {
    await client.patch(Secret, refOf(token), 'merge', { metadata: { labels: { [invalidSince]: date } } }, { signal })
  }
}
