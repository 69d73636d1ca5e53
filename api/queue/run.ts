// Runs reconcilers: informers feed each one's queue, its workers empty it.

import type { Clock } from '../clock.ts'
import { isNamespaceTerminating, isStatus } from '../errors.ts'
import type { Informers } from '../informer/informers.ts'
import type { Log } from '../log.ts'
import { WorkQueue } from './queue.ts'
import { type Reconciler, TerminalError } from './reconciler.ts'

export type RunOptions = { informers: Informers; clock: Clock; log: Log; signal: AbortSignal }

/**
 * Resolves once the signal has aborted and every reconcile in flight has ended. A reconciler starts as
 * soon as the kinds it watches are known, so one kind that cannot be listed stops only who needs it.
 */
export async function run(reconcilers: Reconciler[], options: RunOptions): Promise<void> {
  await Promise.all(reconcilers.map((reconciler) => runOne(reconciler, options)))
}

async function runOne(reconciler: Reconciler, { informers, clock, log, signal }: RunOptions): Promise<void> {
  const queue = new WorkQueue({ clock })
  const undo: (() => void)[] = []
  const stop = () => queue.close()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()

  const synced = reconciler.watches.map(({ kind, keys, gather, ...select }) => {
    const informer = informers.of(kind, select)
    const add = (found: Iterable<string>) => {
      for (const key of found) queue.addAfter(key, gather?.(key) ?? 0)
    }
    undo.push(
      informer.on({
        add: (object) => add(keys(object)),
        update: (object, old) => add(keys(object, old)),
        delete: (object) => add(keys(object)),
      }),
    )
    return informer.synced
  })

  async function work(): Promise<void> {
    for (;;) {
      const key = await queue.take()
      if (key === undefined) return
      await attempt(key)
      queue.done(key)
    }
  }

  async function attempt(key: string): Promise<void> {
    try {
      const result = await reconciler.reconcile(key, signal)
      queue.forget(key)
      if (result.after !== undefined) queue.addAfter(key, result.after)
    } catch (error) {
      if (signal.aborted) return
      // Nothing can be made in it any more, and what is left goes with it.
      if (isNamespaceTerminating(error)) return queue.forget(key)
      if (error instanceof TerminalError) {
        queue.forget(key)
        log.error({ controller: reconciler.name, key, err: error }, 'gave up until something changes')
        return
      }
      const ms = queue.retry(key)
      // Somebody else wrote first, or the server is away: part of normal life.
      const level = isStatus(error, 'Conflict', 'ServiceUnavailable') || ms < 100 ? 'debug' : 'warn'
      log[level]({ controller: reconciler.name, key, err: error, retryInMs: ms }, 'reconcile failed')
    }
  }

  try {
    await Promise.race([Promise.all(synced), aborted(signal)])
    if (signal.aborted) return
    await Promise.all(Array.from({ length: reconciler.workers ?? 4 }, work))
  } finally {
    signal.removeEventListener('abort', stop)
    for (const off of undo) off()
    queue.close()
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })))
