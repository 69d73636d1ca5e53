// A client that dies with whoever uses it, at a write of the test's choosing: the process that was killed there.

import type { Client } from '#api/client/client.ts'
import { StatusError } from '#api/errors.ts'

const writing = new Set(['create', 'update', 'patch', 'delete'])

export type Mortal = {
  client: Client
  /** From now on after so many writes; `written`: whether the last of them still reaches the server. */
  dieAt(writes: number, written: boolean): void
  die(): void
}

export function mortal(client: Client, died: () => void): Mortal {
  let left = Number.POSITIVE_INFINITY
  let writtenLast = false
  let dead = false
  const die = () => {
    if (dead) return
    dead = true
    died()
  }
  const gone = () => new StatusError('ServiceUnavailable', 'the process was killed')
  const call = async (isWrite: boolean, run: () => unknown): Promise<unknown> => {
    if (dead) throw gone()
    if (isWrite) left -= 1
    if (left > 0) return await run()
    die()
    if (writtenLast) await run()
    throw gone()
  }
  return {
    die,
    dieAt(writes, written) {
      left = writes
      writtenLast = written
    },
    client: new Proxy(client, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name)
        if (typeof method !== 'function' || name === 'watch' || name === 'log') return method
        return (...given: unknown[]) => call(writing.has(String(name)), () => Reflect.apply(method, target, given) as unknown)
      },
    }),
  }
}
