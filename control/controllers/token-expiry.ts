// Removes join tokens whose time is over (control/auth/bootstrap-tokens.ts); they open nothing any more by then.

import { isStatus } from '#api/errors.ts'
import { Secret } from '#api/kinds/index.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import { bootstrapTokenType, endOf, tokenNamespace } from '../auth/bootstrap-tokens.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'

const select = { namespace: tokenNamespace, fieldSelector: `type=${bootstrapTokenType}` }
const dayMs = 86_400_000

export function tokenExpiry({ client, informers, clock }: Deps): Reconciler {
  const tokens = informers.of(Secret, select)
  return {
    name: 'token-expiry',
    watches: [of(Secret, select)],
    workers: 1,
    async reconcile(key, signal) {
      const token = tokens.get(key)
      if (!token) return done
      const left = endOf(Buffer.from(token.data?.expiration ?? '', 'base64').toString()) - clock.now()
      if (left === Number.POSITIVE_INFINITY) return done
      // The clock may be set meanwhile.
      if (left > 0) return after(Math.min(left, dayMs))
      await client.delete(Secret, refOf(token), { preconditions: { uid: token.metadata.uid }, signal }).catch((error: unknown) => {
        if (!isStatus(error, 'NotFound')) throw error
      })
      return done
    },
  }
}
