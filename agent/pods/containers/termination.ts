// What a container leaves to be read of its end: its message file, or the tail of its log.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Container } from '#api/types/core-v1.gen.ts'

/** Kubernetes' limits: of the message, and of what is taken from a log. */
const MESSAGE_BYTES = 4096
const LOG_BYTES = 2048
const LOG_LINES = 80
/** More than any one line takes in a log, and than so many of so much text. */
const TAIL_BYTES = 64 << 10

export async function terminationMessage(
  container: Container,
  exitCode: number | undefined,
  paths: { message?: string; log?: string },
): Promise<string | undefined> {
  const written = paths.message && (await tail(paths.message, MESSAGE_BYTES)).toString()
  if (written || exitCode === 0 || container.terminationMessagePolicy !== 'FallbackToLogsOnError' || !paths.log) return written || undefined
  const log = await tail(paths.log, TAIL_BYTES)
  // Where the whole file was not read, it begins within a line.
  const lines = log
    .toString()
    .trimEnd()
    .split('\n')
    .slice(log.length < TAIL_BYTES ? 0 : 1)
  const text = lines.slice(-LOG_LINES).map(textOf).join('')
  return Buffer.from(text).subarray(-LOG_BYTES).toString() || undefined
}

/** A line of a CRI log without its time, stream and tag; a partial line (tag P) goes on in the next. */
function textOf(line: string): string {
  const [, , tag, ...words] = line.split(' ')
  return words.join(' ') + (tag === 'P' ? '' : '\n')
}

const nothing = Buffer.alloc(0)

/** The container wrote this file and may have made it anything: a link is not followed and a pipe not waited for. */
async function tail(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined)
  if (!file) return nothing
  try {
    const facts = await file.stat()
    if (!facts.isFile()) return nothing
    const buffer = Buffer.alloc(Math.min(facts.size, bytes))
    await file.read(buffer, 0, buffer.length, Math.max(0, facts.size - bytes))
    return buffer
  } finally {
    await file.close()
  }
}
