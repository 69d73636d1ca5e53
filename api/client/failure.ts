// What went wrong on the far side or on the way there, as the one error that callers see.

import { codes, type Reason, type Status, StatusError } from '../errors.ts'

/** Rebuilds the error from a failed answer; bodies that are no Status (a proxy's page) count by their HTTP code. */
export function failureFrom(code: number, body: string, what: string): StatusError {
  const status = parseStatus(body)
  if (status)
    return new StatusError(isReason(status.reason) ? status.reason : reasonOf(status.code ?? code), status.message ?? what, status.details)
  return new StatusError(reasonOf(code), `${what}: the server answered ${code}: ${body.slice(0, 200).trim()}`)
}

/** From the object of a watch's ERROR event. */
export function failureOf(status: Partial<Status>): StatusError {
  const reason = isReason(status.reason) ? status.reason : reasonOf(status.code ?? 500)
  return new StatusError(reason, status.message ?? 'the watch failed', status.details)
}

/** The request may or may not have been carried out. */
export const lostConnection = (what: string, cause: unknown): StatusError =>
  new StatusError('ServiceUnavailable', `${what}: ${cause instanceof Error ? cause.message : 'the connection was lost'}`, undefined, {
    cause,
  })

function parseStatus(body: string): Status | undefined {
  if (!body.startsWith('{')) return undefined
  try {
    const parsed = JSON.parse(body) as Status
    return parsed.kind === 'Status' ? parsed : undefined
  } catch {
    return undefined
  }
}

const isReason = (reason: string | undefined): reason is Reason => reason !== undefined && reason in codes

function reasonOf(code: number): Reason {
  if (code === 409) return 'Conflict'
  if (code === 410) return 'Expired'
  const found = Object.entries(codes).find(([, c]) => c === code)
  if (found) return found[0] as Reason
  if (code === 502) return 'ServiceUnavailable'
  return code >= 500 ? 'InternalError' : 'BadRequest'
}
