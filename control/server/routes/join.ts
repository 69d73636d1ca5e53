// POST /coracle/v1/join: who asks is looked at first, by what the connection and one header show; then the request
// waits for its turn like every other, and only then is its body read.

import type { Cidr } from '#api/cidr.ts'
import type { Clock } from '#api/clock.ts'
import { isStatus, StatusError } from '#api/errors.ts'
import { Node } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import { Attempts } from '#control/auth/attempts.ts'
import { type BootstrapTokens, bootstrapTokens } from '#control/auth/bootstrap-tokens.ts'
import { type Joiner, join, joinerOf } from '#control/auth/join.ts'
import type { Revoked } from '#control/auth/revoked.ts'
import { authenticated, nodesGroup, type User } from '#control/auth/user.ts'
import type { Pki } from '#control/pki/pki.ts'
import type { OpenPage } from '../http/app.ts'
import { Reply } from '../http/reply.ts'
import { readSmallJson } from '../http/small-body.ts'

export type JoinPageDeps = {
  pki: Pick<Pki, 'authority' | 'agents'>
  peek: (kind: Kind, ref: { namespace?: string; name: string }) => KubeObject | undefined
  revoked: Revoked
  server: { names: readonly string[]; addresses: readonly string[] }
  serviceCidrs: readonly Cidr[]
  clock: Clock
  log: Log
}

export function joinPage({ pki, peek, revoked, server, serviceCidrs, clock, log }: JoinPageDeps): OpenPage {
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
  return async (request, { credentials, source = '' }, enter) => {
    if (request.method !== 'POST')
      throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    const wait = attempts.waitOf(source)
    if (wait > 0) throw new StatusError('TooManyRequests', 'too many attempts to join failed, try again later', { retryAfterSeconds: wait })
    try {
      const joiner = known(tokens, revoked, credentials?.() ?? {}, source)
      await enter(userOf(joiner))
      const { nodeName, ...answer } = await join(deps, joiner, await readSmallJson(request))
      log.info({ node: nodeName, source, ...(joiner.token && { token: joiner.token.id }) }, 'a node got its certificates')
      return new Reply(JSON.stringify(answer), { headers: { 'content-type': 'application/json', 'cache-control': 'no-store' } })
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

function known(tokens: BootstrapTokens, revoked: Revoked, shown: Shown, source: string): Joiner {
  const { certificate, ...rest } = shown
  return joinerOf(tokens, certificate && !revoked.has(certificate) ? shown : rest, source)
}

const userOf = ({ node, token }: Joiner): User =>
  node === undefined
    ? { name: `system:bootstrap:${token?.id}`, groups: ['system:bootstrappers', authenticated] }
    : { name: `system:node:${node}`, groups: [nodesGroup, authenticated] }
