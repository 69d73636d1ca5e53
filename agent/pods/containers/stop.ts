// Stopping one container within its grace: the preStop hook, its stop signal, and KILL at the deadline.

import type { PodDeps } from '../worker/deps.ts'
import { runHook } from './hooks.ts'
import type { Slot } from './record.ts'

export type Stop = {
  slot: Slot
  ip: string
  deps: PodDeps
  event: (type: 'Normal' | 'Warning', reason: string, message: string) => void
}

/** However long its hook took, a container has this long to end by itself (kubelet's minimumGracePeriodInSeconds). */
const LEAST_MS = 2_000

/** Resolves once the process is gone. `slot.stopBy` may come nearer meanwhile: then call `hurry`. */
export async function stopContainer({ slot, ip, deps, event }: Stop): Promise<void> {
  const { runtime, clock } = deps
  const { id } = slot.current!
  const preStop = slot.container.lifecycle?.preStop
  if (preStop && slot.stopBy! > clock.monotonic()) {
    slot.hookAbort = new AbortController()
    const timer = clock.after(slot.stopBy! - clock.monotonic(), () => slot.hookAbort?.abort())
    const { ok, output } = await runHook(preStop, { slot, ip, deps, signal: slot.hookAbort.signal })
    timer.cancel()
    if (!ok && !slot.hookAbort.signal.aborted) event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${output}`)
    slot.hookAbort = undefined
    slot.stopBy = Math.max(slot.stopBy!, clock.monotonic() + LEAST_MS)
  }
  await runtime.stop(id, { graceSeconds: secondsTo(slot.stopBy!, clock.monotonic()), ...signalOf(slot) })
}

/** Ends a stop under way by its new, nearer deadline. */
export async function hurry({ slot, deps }: Pick<Stop, 'slot' | 'deps'>): Promise<void> {
  slot.hookAbort?.abort()
  if (slot.current)
    await deps.runtime.stop(slot.current.id, { graceSeconds: secondsTo(slot.stopBy!, deps.clock.monotonic()), ...signalOf(slot) })
}

const secondsTo = (at: number, now: number): number => Math.max(0, (at - now) / 1000)

const signalOf = ({ container, current }: Slot): { signal?: string } => {
  const signal = container.lifecycle?.stopSignal ?? current?.stopSignal
  return signal ? { signal } : {}
}
