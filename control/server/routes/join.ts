// POST /coracle/v1/join: who asks is looked at first, by what the connection and one header show; then the request
// waits for its turn like every other, and only then is its body read.

import type { Cidr } from '#api/cidr.ts'
import type { Clock } from '#api/clock.ts'
import { isStatus, StatusError } from '#api/errors.ts'
import { replied } from '#api/http/env.ts'
import { Reply } from '#api/http/reply.ts'
import { Node } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import { Attempts } from '#control/auth/attempts.ts'
import { isOver } from '#control/auth/authenticator.ts'
import { type BootstrapTokens, bootstrapTokens } from '#control/auth/bootstrap-tokens.ts'
import { type Joiner, join, joinerOf } from '#control/auth/join.ts'
import type { Revoked } from '#control/auth/revoked.ts'
import { authenticated, nodesGroup, type User } from '#control/auth/user.ts'
import type { Fairness } from '#control/fairness/fairness.ts'
import type { Pki } from '#control/pki/pki.ts'
import { sourceOf } from '../http/credentials.ts'
import { newPages, type Pages, type ServerStage } from '../http/env.ts'
import { readSmallJson } from '../http/small-body.ts'
import { shownIn } from '../http/stages/authentication.ts'
import { takeSeat } from '../http/stages/fairness.ts'

export type JoinPageDeps = {
  pki: Pick<Pki, 'authority' | 'agents'>
  peek: (kind: Kind, ref: { namespace?: string; name: string }) => KubeObject | undefined
  revoked: Revoked
  server: { names: readonly string[]; addresses: readonly string[] }
  serviceCidrs: readonly Cidr[]
  fairness: Fairness
  clock: Clock
  log: Log
}

const path = '/coracle/v1/join'

export const joinPages = (deps: JoinPageDeps): Pages => newPages().all(path, joining(deps))

function joining({ pki, peek, revoked, server, serviceCidrs, fairness, clock, log }: JoinPageDeps): ServerStage {
  const tokens = bootstrapTokens({ peek, now: () => clock.now() })
  const attempts = new Attempts({ now: () => clock.monotonic() })
  const deps = {
    sign: {
      client: pki.authority.sign.bind(pki.authority),
      server: pki.agents.authority.sign.bind(pki.agents.authority),
    },
    authorities: { clients: pki.authority.cert, agents: pki.agents.authority.cert },
    nodeExists: (name: string) => peek(Node, { name }) !== undefined,
    isRevoked: (commonName: string) => revoked.has({ commonName }),
    server,
    serviceCidrs,
  }
  return async (c, next) => {
    const request = c.get('incoming')
    // Nothing beside it is open to everybody.
    if (request.url.pathname !== path) return await next()
    const source = sourceOf(c.env.incoming)
    if (request.method !== 'POST')
      throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    const wait = attempts.waitOf(source)
    if (wait > 0) throw new StatusError('TooManyRequests', 'too many attempts to join failed, try again later', { retryAfterSeconds: wait })
    try {
      const counts = (certificate: Certificate) => !isOver(certificate, clock.now()) && !revoked.has(certificate)
      const joiner = known(tokens, counts, shownIn(c.env) ?? {}, source)
      await takeSeat(c, fairness, { user: userOf(joiner), verb: 'post', path })
      const { nodeName, ...answer } = await join(deps, joiner, await readSmallJson(request))
      log.info({ node: nodeName, source, ...(joiner.token && { token: joiner.token.id }) }, 'a node got its certificates')
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
      return replied(c, new Reply(JSON.stringify(answer), { headers }))
    } catch (error) {
      if (isStatus(error, 'Unauthorized', 'Forbidden')) {
        // Who has a token guesses nothing, and may share an address with others.
        if (error.reason === 'Unauthorized') attempts.failed(source)
        log.warn({ source, why: error.message }, 'somebody was refused who wanted to join')
      }
      throw error
    }
  }
}

type Shown = Parameters<typeof joinerOf>[1]

type Certificate = NonNullable<Shown['certificate']>

function known(tokens: BootstrapTokens, counts: (certificate: Certificate) => boolean, shown: Shown, source: string): Joiner {
  const { certificate, ...rest } = shown
  return joinerOf(tokens, certificate && counts(certificate) ? shown : rest, source)
}

const userOf = ({ node, token }: Joiner): User =>
  node === undefined
    ? { name: `system:bootstrap:${token?.id}`, groups: ['system:bootstrappers', authenticated] }
    : { name: `system:node:${node}`, groups: [nodesGroup, authenticated] }
