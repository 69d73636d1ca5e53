// The end of a machine as a node: another has taken its name and runs its pods, so here they end, also the next
// time that this one boots.

import { type Clock, sleep } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import type { ReplacedError } from './node/instance.ts'
import type { AgentMemory } from './record/memory.ts'
import type { AgentRecord } from './record/record.ts'
import type { Runtime } from './runtime/runtime.ts'

const RETRY_MS = 10_000

export type RetireOptions = {
  replaced: Promise<ReplacedError>
  /** Ends all that would start a container or follow the server. */
  letGo: () => Promise<void>
  memory: AgentMemory
  record: AgentRecord
  runtime: Pick<Runtime, 'list' | 'stop' | 'remove'>
  clock: Clock
  log: Log
  /** The agent ends before. */
  signal: AbortSignal
}

/** Resolves at the end of either; never throws. */
export async function retireWhenReplaced({ replaced, letGo, memory, record, runtime, clock, log, signal }: RetireOptions): Promise<void> {
  const ended = Promise.withResolvers<undefined>()
  signal.addEventListener('abort', () => ended.resolve(undefined), { once: true })
  if (signal.aborted) ended.resolve(undefined)
  const err = await Promise.race([replaced, ended.promise])
  if (!err) return
  log.error(
    { err },
    'this machine is no longer this node: its pods end here. It becomes a node again by `coracle agent --cleanup` and joining anew',
  )
  await letGo()
  memory.clear()
  await record.flush()
  for (let attempts = 0; attempts < 6; attempts++) {
    const left = await endAll(runtime)
    if (left.length === 0) return
    log.error({ err: new AggregateError(left) }, 'not every container could be ended')
    await sleep(clock, RETRY_MS)
  }
}

/** All at once, each within its pod's grace. Resolves with what went wrong. */
async function endAll(runtime: RetireOptions['runtime']): Promise<unknown[]> {
  const all = (await runtime.list()).map(async ({ id, spec }) => {
    await runtime.stop(id, { graceSeconds: Number(spec.labels?.['grace'] ?? 0) })
    await runtime.remove(id)
  })
  return (await Promise.allSettled(all)).filter((each) => each.status === 'rejected').map(({ reason }) => reason as unknown)
}
