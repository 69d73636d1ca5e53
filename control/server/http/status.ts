// The one place where errors become answers: every failure is a Status.

import { codes, isStatus, type Status, StatusError } from '#api/errors.ts'
import { type HeaderValues, Reply } from '#api/http/reply.ts'
import { CommitFailed } from '../../store/store.ts'
import { protobufOf, protobufType } from './protobuf.ts'

/** Whether `error` is our own fault, and worth a line in the log. */
export function statusOf(error: unknown): { status: Status; unexpected: boolean } {
  if (isStatus(error)) {
    const status = error.toStatus()
    const token = (error as { continue?: string }).continue
    // An expired continue token comes with one that goes on, inconsistently.
    return { status: token ? ({ ...status, metadata: { continue: token } } as unknown as Status) : status, unexpected: false }
  }
  // Deeper than any honest object: some recursion gave up.
  if (error instanceof RangeError)
    return { status: new StatusError('BadRequest', 'the request is nested too deeply').toStatus(), unexpected: true }
  // Said in the log by the store itself.
  if (error instanceof CommitFailed) return { status: new StatusError('ServiceUnavailable', error.message).toStatus(), unexpected: false }
  const message = error instanceof Error ? error.message : String(error)
  return { status: new StatusError('InternalError', `Internal error occurred: ${message}`).toStatus(), unexpected: true }
}

export function answerStatus(status: Status, format: 'json' | 'protobuf' = 'json'): Reply {
  const protobuf = format === 'protobuf' ? protobufOf(status) : undefined
  const headers: HeaderValues = { 'content-type': protobuf ? protobufType : 'application/json', 'cache-control': 'no-cache, private' }
  if (status.code === codes.Unauthorized) headers['www-authenticate'] = 'Bearer'
  const retry = status.details?.retryAfterSeconds
  if (retry) headers['retry-after'] = String(retry)
  return new Reply(protobuf ?? `${JSON.stringify(status)}\n`, { status: status.code, headers })
}
