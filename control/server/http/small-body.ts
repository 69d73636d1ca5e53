// The body of a request whose sender is hardly known: JSON alone, small, and soon.

import { StatusError } from '#api/errors.ts'
import type { Incoming } from '#api/http/incoming.ts'
import { mediaType } from './body.ts'

const mostBytes = 64 * 1024
const withinMs = 10_000

/** Throws UnsupportedMediaType, RequestEntityTooLarge, BadRequest and Timeout. */
export async function readSmallJson({ headers, body }: Incoming): Promise<unknown> {
  if (mediaType(headers.get('content-type')) !== 'application/json')
    throw new StatusError(
      'UnsupportedMediaType',
      'the body of the request was in an unknown format - accepted media types include: application/json',
    )
  const tooLarge = () => new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${mostBytes}`)
  if (Number(headers.get('content-length') ?? 0) > mostBytes) throw tooLarge()
  if (!body) throw new StatusError('BadRequest', 'the request has no body')
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let size = 0
  const onData = (chunk: Buffer) => {
    size += chunk.length
    if (size > mostBytes) reject(tooLarge())
    else chunks.push(chunk)
  }
  const onEnd = () => resolve(Buffer.concat(chunks))
  const onGone = () => reject(new StatusError('BadRequest', 'the client went away before it had sent the request body'))
  const late = setTimeout(() => reject(new StatusError('Timeout', 'the request body did not arrive in time')), withinMs)
  body.on('data', onData).on('end', onEnd).on('error', onGone).on('close', onGone)
  try {
    return JSON.parse((await promise).toString())
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new StatusError('BadRequest', `the body of the request is no JSON: ${error.message}`, undefined, { cause: error })
  } finally {
    clearTimeout(late)
    body.off('data', onData).off('end', onEnd).off('error', onGone).off('close', onGone).pause()
  }
}
