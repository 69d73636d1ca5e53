// May they? Answers Forbidden, in Kubernetes' words.

import { type Authorizer, authorize } from '#control/auth/authorizer.ts'
import type { ServerStage } from '../env.ts'

export const authorization =
  (authorizers: readonly Authorizer[]): ServerStage =>
  async (c, next) => {
    await authorize(authorizers, c.get('attempt'))
    await next()
  }
