// The agent on its own machine: a unix socket for root alone, by which `coracle node pods|logs|exec` work while
// nobody else can be reached. Paths are the kubelet's; who may open the socket may do all of it.

import { chmod, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { replied } from '#api/http/env.ts'
import { listener } from '#api/http/listener.ts'
import { upgrades } from '#api/http/upgrades.ts'
import type { Log } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { createHttpServer } from '../http.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { newApp, podList, statusReply } from '../server/answers.ts'
import { namesIn, ofContainer } from '../server/env.ts'
import { logOf } from '../server/logs.ts'
import { execIn, newStreams } from '../server/streams.ts'

export type LocalOptions = {
  /** The agent's own, closed to everybody else. */
  dataDir: string
  runtime: Runtime
  /** With their states by this node's own account. */
  pods: () => readonly Pod[]
  now: () => number
  log: Log
}

export const socketOf = (dataDir: string): string => join(dataDir, 'agent.sock')

/** Whether an agent answers there now; the socket of one that was killed refuses. */
export function isRunning(dataDir: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(socketOf(dataDir), () => resolve(true)).on('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

/** A kernel's sun_path holds no more, with its final zero. */
const PATH_BYTES = 107

/** Never throws: an agent whose folder has too long a name runs without it. */
export async function openLocal(options: LocalOptions): Promise<{ close(): Promise<void> }> {
  const { log } = options
  const path = socketOf(options.dataDir)
  if (Buffer.byteLength(path) > PATH_BYTES) {
    log.warn({ path }, 'the path is too long for a socket: `coracle node pods|logs|exec` will not work here')
    return { close: async () => {} }
  }
  const closing = new AbortController()
  const app = newApp(log)
  app.all('/pods', (c) => replied(c, podList(options.pods())))
  app.on('ALL', ofContainer('containerLogs'), async (c) => replied(c, await logOf(options, namesIn(c), c.get('incoming'), closing.signal)))
  const streams = newStreams(log, closing.signal)
  streams.on('ALL', ofContainer('exec'), execIn(options))
  const [answer, upgrade] = [listener(app, statusReply), upgrades(streams)]
  const server = createHttpServer((request, response) => void answer(request, response))
  server.on('upgrade', (request, socket, head) => void upgrade(request, socket, head))
  try {
    // Of an agent that was killed.
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
    await chmod(path, 0o600)
  } catch (err) {
    log.warn({ err, path }, '`coracle node pods|logs|exec` will not work here')
  }
  return {
    async close() {
      closing.abort()
      if (!server.listening) return
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}
