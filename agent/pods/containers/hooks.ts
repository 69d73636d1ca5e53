// Lifecycle hooks: a check that is run once and waited for, or a sleep.

import { sleep } from '#api/clock.ts'
import { rounded } from '#api/schema/exact.ts'
import type { LifecycleHandler } from '#api/types/core-v1.gen.ts'
import type { PodDeps } from '../worker/deps.ts'
import { type Check, check } from './probe.ts'
import type { ContainerRecord } from './record.ts'

export type Hook = { record: ContainerRecord; ip: string; deps: Pick<PodDeps, 'runtime' | 'clock'>; signal: AbortSignal }

/** Never throws. */
export async function runHook(handler: LifecycleHandler, { record, ip, deps, signal }: Hook): Promise<Check> {
  if (handler.sleep) {
    await sleep(deps.clock, rounded(handler.sleep.seconds) * 1000, signal)
    return { ok: true, output: '' }
  }
  return check(handler, { container: record.container, id: record.current!.id, ip, runtime: deps.runtime, signal })
}
