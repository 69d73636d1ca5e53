// Who asks: by what the connection and the request show, and as whom, where they may be somebody else.

import { isStatus, StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import type { Log } from '#api/log.ts'
import { Attempts } from '#control/auth/attempts.ts'
import type { Authenticator, Credentials } from '#control/auth/authenticator.ts'
import type { Authorizer } from '#control/auth/authorizer.ts'
import { impersonated } from '#control/auth/impersonation.ts'
import { credentialsIn, sourceOf } from '../credentials.ts'
import type { ServerEnv, ServerStage } from '../env.ts'

type Deps = { authenticator: Authenticator; authorizers: readonly Authorizer[]; log: Log; now: () => number }

/** Answers Unauthorized for bad credentials. */
export function authentication({ authenticator, authorizers, log, now }: Deps): ServerStage {
  /** Of those who are told of in the log: whoever is refused again and again does not fill it. */
  const told = new Attempts({ now })
  const tell = ({ method, url }: Incoming, source: string) => {
    if (told.waitOf(source) > 0) return
    told.failed(source)
    // Neither what was shown nor the query, which may be as secret.
    log.warn({ source, method, path: url.pathname.slice(0, 200) }, 'somebody was refused whose credentials are not good')
  }
  return async (c, next) => {
    const request = c.get('incoming')
    try {
      const caller = c.env.user ?? authenticator.authenticate(shownIn(c.env) ?? nobody())
      c.set('user', await impersonated(authorizers, caller, request.headers))
    } catch (error) {
      if (isStatus(error, 'Unauthorized')) tell(request, sourceOf(c.env.incoming))
      throw error
    }
    await next()
  }
}

/** What the connection and the request show of who asks; undefined where there is no connection. */
export function shownIn({ credentials, incoming }: ServerEnv['Bindings']): Credentials | undefined {
  if (credentials) return credentials()
  return incoming && credentialsIn(incoming)
}

function nobody(): never {
  throw new StatusError('Unauthorized', 'Unauthorized')
}
