// `GET /containerLogs/<namespace>/<pod>/<container>`.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { StatusError } from '#api/errors.ts'
import { type LogOptions, readLogs } from '../runtime/logs/read.ts'
import type { ContainerState, Runtime } from '../runtime/runtime.ts'
import { type Finder, findContainer, type Names, previousLog } from './find.ts'

type LogDeps = Finder & { runtime: Runtime; now: () => number; closing: AbortSignal }

export async function serveLogs(
  deps: LogDeps,
  names: Names,
  query: URLSearchParams,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const asked = logQuery(query, deps.now())
  const state = await findContainer(deps, names)
  const path = asked.previous ? await previousLog(state) : state.spec.logPath
  const gone = new AbortController()
  req.once('close', () => gone.abort())
  res.once('close', () => gone.abort())
  const exit = asked.previous ? { promise: Promise.resolve(), forget() {} } : whenExited(deps.runtime, state)
  try {
    const signal = AbortSignal.any([gone.signal, deps.closing])
    const log = Readable.from(readLogs(path, { ...asked, exited: exit.promise, signal }), { objectMode: false })
    res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
    // A follower of a silent container must not wait for its headers.
    res.flushHeaders()
    await pipeline(log, res)
  } catch (error) {
    if (!gone.signal.aborted) throw error
  } finally {
    exit.forget()
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
