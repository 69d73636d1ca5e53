// Stopping one container within its grace: the preStop hook, its stop signal, and KILL at the deadline.

import type { PodDeps } from '../worker/deps.ts'
import { runHook } from './hooks.ts'
import type { ContainerRecord } from './record.ts'

export type Stop = {
  record: ContainerRecord
  ip: string
  deps: PodDeps
  event: (type: 'Normal' | 'Warning', reason: string, message: string) => void
}

/** However long its hook took, a container has this long to end by itself (kubelet's minimumGracePeriodInSeconds). */
const LEAST_MS = 2_000

/** Resolves once the process is gone. `record.stopBy` may come nearer meanwhile: then call `hurry`. */
export async function stopContainer({ record, ip, deps, event }: Stop): Promise<void> {
  const { runtime, clock } = deps
  const { id } = record.current!
  const preStop = record.container.lifecycle?.preStop
  if (preStop && record.stopBy! > clock.monotonic()) {
    record.hookAbort = new AbortController()
    const timer = clock.after(record.stopBy! - clock.monotonic(), () => record.hookAbort?.abort())
    const { ok, output } = await runHook(preStop, { record, ip, deps, signal: record.hookAbort.signal })
    timer.cancel()
    if (!ok && !record.hookAbort.signal.aborted) event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${output}`)
    record.hookAbort = undefined
    record.stopBy = Math.max(record.stopBy!, clock.monotonic() + LEAST_MS)
  }
  await runtime.stop(id, { graceSeconds: secondsTo(record.stopBy!, clock.monotonic()), ...signalOf(record) })
}

/** Ends a stop under way by its new, nearer deadline. */
export async function hurry({ record, deps }: Pick<Stop, 'record' | 'deps'>): Promise<void> {
  record.hookAbort?.abort()
  if (record.current)
    await deps.runtime.stop(record.current.id, { graceSeconds: secondsTo(record.stopBy!, deps.clock.monotonic()), ...signalOf(record) })
}

const secondsTo = (at: number, now: number): number => Math.max(0, (at - now) / 1000)

const signalOf = ({ container, current }: ContainerRecord): { signal?: string } => {
  const signal = container.lifecycle?.stopSignal ?? current?.stopSignal
  return signal ? { signal } : {}
}
