// What a webhook's No, and its silence, are to the client.

import { codes, type Reason, type Status, StatusError } from '#api/errors.ts'
import { isObject } from '#api/schema/decode.ts'
import { shortened } from './response.ts'

/** Characters of JSON: more tells nobody anything. */
const mostDetails = 64 * 1024

/** With the code and reason that the webhook chose, which may be any. */
export class Denial extends StatusError {
  readonly #status: Status

  constructor(webhook: string, result: unknown) {
    const given = isObject(result) ? result : {}
    const text = (field: string): string => {
      const value = given[field]
      return typeof value === 'string' ? shortened(value) : ''
    }
    const by = `admission webhook ${JSON.stringify(webhook)} denied the request`
    const why = text('message') || text('reason')
    const message = why ? `${by}: ${why}` : `${by} without explanation`
    const code = typeof given.code === 'number' && given.code >= 400 && given.code < 600 ? Math.trunc(given.code) : 400
    const reason = text('reason')
    super(reasonFor(code, reason), message)
    this.name = 'Denial'
    this.#status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      ...(reason && { reason: reason as Reason }),
      ...(isObject(given.details) && JSON.stringify(given.details).length <= mostDetails && { details: given.details }),
      code,
    }
  }

  override get code(): number {
    return this.#status.code
  }

  override toStatus(): Status {
    return this.#status
  }
}

/** The nearest that our own components can branch on. */
function reasonFor(code: number, reason: string): Reason {
  if (Object.hasOwn(codes, reason)) return reason as Reason
  const [found] = Object.entries(codes).find(([, each]) => each === code) ?? []
  return (found as Reason | undefined) ?? 'BadRequest'
}

/** 500: a webhook that must be asked could not be, or what it answered cannot be used. */
export function failed(why: string, cause?: unknown): StatusError {
  return new StatusError(
    'InternalError',
    `Internal error occurred: ${why}`,
    { causes: [{ reason: 'UnexpectedServerResponse', message: why }] },
    { cause },
  )
}
