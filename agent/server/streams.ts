// Connections that are upgraded to streams: exec, attach and port-forward.

import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Hono } from 'hono/tiny'
import { connectInNetns } from 'nft-js'
import { StatusError } from '#api/errors.ts'
import { newUpgrades, taking, type Upgrade, upgradeIn } from '#api/http/upgrades.ts'
import type { Log } from '#api/log.ts'
import { servePortForward } from '#api/streaming/portforward.ts'
import { commandRequest, serveCommand } from '#api/streaming/remotecommand.ts'
import { statusOf } from './answers.ts'
import { type AgentEnv, namesIn, ofContainer, ofPod, only, type Served } from './env.ts'
import { findRunning, networkOf } from './find.ts'

const dialMs = 10_000

export function agentStreams(served: Served, closing: AbortSignal): Hono<AgentEnv> {
  const { runtime } = served
  const app = newStreams(served.log, closing)
  app.use(only(served.callers))
  app.on('ALL', ofContainer('exec'), execIn(served))
  app.on(
    'ALL',
    ofContainer('attach'),
    taking<AgentEnv>(async (c, upgrade) => {
      const { id } = await findRunning(served, namesIn(c))
      const request = commandRequest(c.get('incoming').url.searchParams)
      await serveCommand(connectionIn(upgrade), request, (streams) => runtime.attach(id, { tty: request.tty, ...streams }))
    }),
  )
  app.on(
    'ALL',
    ofPod('portForward'),
    taking<AgentEnv>(async (c, upgrade) => {
      const netns = await networkOf(served, namesIn(c))
      await servePortForward(connectionIn(upgrade), c.get('incoming').url.searchParams, (port, signal) => dial(netns, port, signal))
    }),
  )
  return app
}

/** Without routes. No stream outlives `closing`. */
export function newStreams(log: Log, closing: AbortSignal): Hono<AgentEnv> {
  const app = newUpgrades<AgentEnv>((error, c) => {
    if (!(error instanceof StatusError)) log.error({ err: error, path: c.get('incoming').url.pathname }, 'a request to the agent failed')
    return statusOf(error)
  })
  app.use(async (c, next) => {
    const { socket } = upgradeIn(c)
    const stop = () => socket.destroy()
    closing.addEventListener('abort', stop, { once: true })
    socket.once('close', () => closing.removeEventListener('abort', stop))
    await next()
  })
  app.notFound(() => {
    throw new StatusError('NotFound', 'nothing to upgrade here')
  })
  return app
}

/** A command in a container that runs. */
export const execIn = ({ runtime, pods }: Pick<Served, 'runtime' | 'pods'>) =>
  taking<AgentEnv>(async (c, upgrade) => {
    const { id } = await findRunning({ runtime, pods }, namesIn(c))
    const request = commandRequest(c.get('incoming').url.searchParams)
    const { command: args, tty } = request
    if (args.length === 0) throw new StatusError('BadRequest', 'you must specify at least one command for the container')
    await serveCommand(connectionIn(upgrade), request, (streams) => runtime.exec(id, { args, tty, ...streams }))
  })

const connectionIn = ({ incoming, socket, head }: Upgrade) => ({ req: incoming, socket, head })

/** From inside the pod's network namespace, where what listens on localhost is found too. */
async function dial(netns: string | undefined, port: number, signal: AbortSignal): Promise<Duplex> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(dialMs)])
  const connect = (host: string) => connectInNetns({ netns, host, port, signal: within })
  // What listens on ::1 alone is not reached by IPv4; the first refusal is the one to tell.
  const fd = await connect('127.0.0.1').catch((error: unknown) => connect('::1').catch(() => Promise.reject(error)))
  return new Socket({ fd, allowHalfOpen: true, readable: true, writable: true })
}
