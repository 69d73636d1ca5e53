// What the API server knows of a request on its way: each stage adds its part (`c.set`) for those within.

import { type Context, Hono } from 'hono'
import type { HttpEnv, Stage } from '#api/http/env.ts'
import { pathOf } from '#api/http/view.ts'
import type { Credentials } from '#control/auth/authenticator.ts'
import type { Attempt } from '#control/auth/authorizer.ts'
import type { User } from '#control/auth/user.ts'
import type { Place, Seat } from '#control/fairness/fairness.ts'
import type { Remarks, ResourceRequest } from './request.ts'

export type ServerEnv = {
  /** Tests say who asks; otherwise the connection and the request show it. */
  Bindings: HttpEnv['Bindings'] & { user?: User; credentials?: () => Credentials }
  Variables: HttpEnv['Variables'] & {
    remarks: Remarks
    /** From authentication on. */
    user: User
    /** Undefined for what is no resource. */
    info: ResourceRequest | undefined
    /** What has to be allowed. */
    attempt: Attempt
    place: Place | undefined
    seat: Seat | undefined
  }
}

export type ServerContext = Context<ServerEnv>
export type ServerStage = Stage<ServerEnv>

/** An app of fixed paths, to be mounted at the end of the stages. */
export type Pages = Hono<ServerEnv>

export const newPages = (): Pages => new Hono<ServerEnv>({ getPath: pathOf })
