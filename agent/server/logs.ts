// `GET /containerLogs/<namespace>/<pod>/<container>`.

import { StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import { Reply } from '#api/http/reply.ts'
import type { Log } from '#api/log.ts'
import { type LogOptions, readLogs } from '../runtime/logs/read.ts'
import type { ContainerState, Runtime } from '../runtime/runtime.ts'
import { type Finder, findContainer, type Names, previousLog } from './find.ts'

type LogDeps = Finder & { runtime: Runtime; now: () => number; log: Log }

/** Until its end, or the client's, or `closing`. Throws what findContainer does, and BadRequest. */
export async function logOf(deps: LogDeps, names: Names, { url, signal }: Incoming, closing: AbortSignal): Promise<Reply> {
  const asked = logQuery(url.searchParams, deps.now())
  const state = await findContainer(deps, names)
  const path = asked.previous ? await previousLog(state) : state.spec.logPath
  const over = AbortSignal.any([signal, closing])
  return new Reply(linesOf(), { headers: { 'content-type': 'text/plain; charset=utf-8' } })

  async function* linesOf(): AsyncGenerator<Buffer> {
    const exit = asked.previous ? { promise: Promise.resolve(), forget() {} } : whenExited(deps.runtime, state)
    try {
      yield* readLogs(path, { ...asked, exited: exit.promise, signal: over })
    } catch (error) {
      if (!signal.aborted) deps.log.error({ err: error, path }, 'a log could not be read to its end')
      throw error
    } finally {
      exit.forget()
    }
  }
}

/** The parameters of PodLogOptions. Throws BadRequest. */
function logQuery(query: URLSearchParams, now: number): LogOptions & { previous: boolean } {
  const whole = (name: string, least: number): number | undefined => {
    const text = query.get(name)
    if (text === null || text === '') return undefined
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < least) throw new StatusError('BadRequest', `invalid ${name}: ${JSON.stringify(text)}`)
    return value
  }
  const flag = (name: string) => ['true', '1'].includes(query.get(name) ?? '')
  const seconds = whole('sinceSeconds', 1)
  const time = query.get('sinceTime') || undefined
  if (time !== undefined && Number.isNaN(Date.parse(time)))
    throw new StatusError('BadRequest', `invalid sinceTime: ${JSON.stringify(time)}`)
  const stream = query.get('stream')
  return {
    follow: flag('follow'),
    previous: flag('previous'),
    timestamps: flag('timestamps'),
    tailLines: whole('tailLines', 0),
    limitBytes: whole('limitBytes', 1),
    since: seconds !== undefined ? new Date(now - seconds * 1000) : time ? new Date(time) : undefined,
    ...(stream === 'Stdout' && { stream: 'stdout' as const }),
    ...(stream === 'Stderr' && { stream: 'stderr' as const }),
  }
}

function whenExited(runtime: Runtime, { id, phase }: ContainerState): { promise: Promise<void>; forget: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const forget = runtime.onExit((state) => {
    if (state.id === id) resolve()
  })
  // It may have ended while we were looking.
  if (phase === 'exited') resolve()
  else void runtime.state(id).then((state) => state?.phase !== 'running' && state?.phase !== 'created' && resolve(), resolve)
  return { promise, forget }
}
