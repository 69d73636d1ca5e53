// Certificates that are exchanged while everything runs: looked at now and then, replaced well before they end,
// and at once where somebody asks for it by a file of this name beside them (`coracle certs renew`).

import { watch } from 'node:fs'
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Timer } from '../clock.ts'
import type { Log } from '../log.ts'

/** Certificates are replaced when less than this is left of them. */
export const renewBeforeMs = 60 * 86_400_000
export const renewFile = 'renew'

const lookEveryMs = 10 * 60_000
const againAfterMs = 60_000

export type RenewalDeps = {
  /** Where the certificates are. */
  dir: string
  /** When the first of them ends (wall clock, ms). */
  end: () => number
  /** Replaces those that near their end; `all`: every one. */
  renew: (all: boolean) => Promise<void>
  clock: Clock
  log: Log
}

export type Renewal = {
  /** Looks now. */
  check(): Promise<void>
  close(): Promise<void>
}

export function keepRenewed({ dir, end, renew, clock, log }: RenewalDeps): Renewal {
  const wish = join(dir, renewFile)
  let closed = false
  let timer: Timer | undefined
  let looking: Promise<void> = Promise.resolve()

  async function look(): Promise<void> {
    if (closed) return
    timer?.cancel()
    let next = lookEveryMs
    try {
      const asked = await access(wish).then(
        () => true,
        () => false,
      )
      if (asked || end() - clock.now() < renewBeforeMs) {
        await renew(asked)
        await rm(wish, { force: true })
        log.info({ end: new Date(end()).toISOString() }, 'certificates were replaced')
      }
    } catch (err) {
      next = againAfterMs
      if (!closed) log.warn({ err, end: new Date(end()).toISOString() }, 'certificates cannot be replaced yet')
    }
    if (!closed) timer = clock.after(next, () => void check())
  }

  function check(): Promise<void> {
    looking = looking.then(look)
    return looking
  }

  const watcher = watch(dir, { persistent: false }, (_event, name) => {
    if (name === renewFile) void check()
  })
  watcher.on('error', (err) => log.warn({ err, dir }, 'nobody hears when certificates are asked for'))
  void check()
  return {
    check,
    async close() {
      closed = true
      watcher.close()
      timer?.cancel()
      await looking
    },
  }
}
