// `POST /run/...?cmd=`: a command without a connection of its own; its output is the answer.

import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { StatusError } from '#api/errors.ts'
import type { Runtime } from '../runtime/runtime.ts'

/** Stdout, then stderr. Throws InternalError if the command fails. */
export async function runCommand(runtime: Runtime, id: string, query: URLSearchParams, signal: AbortSignal): Promise<string> {
  const args = query.getAll('cmd').flatMap((value) => value.split(' '))
  if (args.length === 0) throw new StatusError('BadRequest', 'query parameter "cmd" is required')
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const output = Promise.all([text(stdout), text(stderr)])
  const code = await runtime.exec(id, { args, tty: false, stdout, stderr, signal }).finally(() => {
    stdout.end()
    stderr.end()
  })
  const written = (await output).join('')
  if (code !== 0) throw new StatusError('InternalError', `command exited with ${code}: ${written}`)
  return written
}
