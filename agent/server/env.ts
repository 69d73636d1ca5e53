// What the agent's endpoint knows of a request: who asks, and which pod and container its path names.

import type { TLSSocket } from 'node:tls'
import type { Context } from 'hono'
import type { Clock } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import type { HttpEnv, Stage } from '#api/http/env.ts'
import type { Log } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { Runtime } from '../runtime/runtime.ts'
import type { Names } from './find.ts'

/** What is asked about. */
export type Served = {
  runtime: Runtime
  /** The pods that the API has on this node. */
  pods: () => readonly Pod[]
  nodeName: string
  /** Common names of the client certificates that may call. */
  callers: readonly string[]
  log: Log
  clock: Clock
  /** Of this process, Prometheus text. */
  metrics?: () => Promise<string>
}

export type AgentEnv = {
  /** Tests say who asks; otherwise the connection's certificate does. */
  Bindings: HttpEnv['Bindings'] & { caller?: string }
  Variables: HttpEnv['Variables']
}

/** Nobody else learns what there is. Answers Unauthorized and Forbidden. */
export const only =
  <E extends AgentEnv>(callers: readonly string[]): Stage<E> =>
  async (c, next) => {
    const name = c.env.caller ?? certified(c.env.incoming?.socket as TLSSocket | undefined)
    if (!callers.includes(name)) throw new StatusError('Forbidden', `${name} may not call the agent`)
    await next()
  }

function certified(socket: TLSSocket | undefined): string {
  const name = socket?.authorized ? socket.getPeerCertificate().subject?.CN : undefined
  if (name) return String(name)
  throw new StatusError('Unauthorized', `a client certificate of the cluster is required: ${String(socket?.authorizationError)}`)
}

/** The kubelet's paths: with the pod's uid, or without. */
export const ofContainer = (root: string) => [`/${root}/:namespace/:pod/:container`, `/${root}/:namespace/:pod/:uid/:container`]
export const ofPod = (root: string) => [`/${root}/:namespace/:pod`, `/${root}/:namespace/:pod/:uid`]

export function namesIn<E extends AgentEnv>(c: Context<E>): Names {
  const { namespace = '', pod = '', uid, container = '' } = c.req.param() as Partial<Names>
  return { namespace, pod, ...(uid && { uid }), container }
}
