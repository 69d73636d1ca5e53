// Errors of the API, on both sides of it: the server throws them, the client rebuilds them from the
// Status it receives, and callers branch on `reason` and never on text.

/** Kubernetes' own reasons (apimachinery meta/v1 StatusReason), each with its HTTP code. */
export const codes = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  ServerTimeout: 500,
  Timeout: 504,
} as const

export type Reason = keyof typeof codes

/** One field's fault, as in `Status.details.causes`. `field` is a JSON path such as `spec.ports[0].port`. */
export type Cause = { reason: CauseReason; message: string; field?: string }
export type CauseReason =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueTypeInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldManagerConflict'
  | 'ResourceVersionTooLarge'
  | 'DisruptionBudget'
  | 'NamespaceTerminating'
  | 'UnexpectedServerResponse'

export type StatusDetails = { name?: string; group?: string; kind?: string; uid?: string; causes?: Cause[]; retryAfterSeconds?: number }

/** The body of a failed request: a `v1` Status. */
export type Status = {
  kind: 'Status'
  apiVersion: 'v1'
  metadata: Record<string, never>
  status: 'Failure' | 'Success'
  message?: string
  reason?: Reason
  details?: StatusDetails
  code: number
}

export class StatusError extends Error {
  readonly reason: Reason
  readonly details: StatusDetails | undefined

  constructor(reason: Reason, message: string, details?: StatusDetails, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StatusError'
    this.reason = reason
    this.details = details
  }

  get code(): number {
    return codes[this.reason]
  }

  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.code,
    }
  }
}

/** Whether `error` is a StatusError, of one of `reasons` if any are given. */
export const isStatus = (error: unknown, ...reasons: Reason[]): error is StatusError =>
  error instanceof StatusError && (reasons.length === 0 || reasons.includes(error.reason))

/** The namespace is going away: nothing can be made in it any more. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  isStatus(error, 'Forbidden') && (error.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false)

/** A field path (`spec.ports[0].port`), why it is wrong, and what was wrong with it, in Kubernetes' wording. */
export type FieldError = Required<Pick<Cause, 'field' | 'message' | 'reason'>>

/** 422: the object was understood and breaks a rule. `kind` with its group, e.g. `Deployment.apps`. */
export function invalid(group: string, kind: string, name: string, errors: FieldError[]): StatusError {
  const list = errors.map((e) => `${e.field}: ${e.message}`)
  const text = list.length === 1 ? list[0] : `[${list.join(', ')}]`
  const what = group ? `${kind}.${group}` : kind
  return new StatusError('Invalid', `${what} ${JSON.stringify(name)} is invalid: ${text}`, { name, group, kind, causes: errors })
}
