// One controller alone on a fake server, for tests in which much time passes. Nothing else acts: pods do not
// start, nothing is collected.

import { type FakeClient, fakeClient } from '#api/client/fake.ts'
import { type FakeClock, fakeClock, settle } from '#api/clock.fake.ts'
import { informers } from '#api/informer/informers.ts'
import { observing } from '#api/informer/observing.ts'
import type { Log } from '#api/log.ts'
import type { Reconciler } from '#api/queue/reconciler.ts'
import { run } from '#api/queue/run.ts'
import type { WorkloadDeps } from './deps.ts'
import { podControl } from './pod-control/pod-control.ts'

export type Alone = {
  client: FakeClient
  clock: FakeClock
  /** What it told, as `Normal SuccessfulCreate: Created job x`. */
  events: string[]
  /** What went wrong enough to be told. */
  complaints: string[]
  settle(): Promise<void>
  /** Ends the controller as a crash does, and starts another that knows nothing of it. */
  restart(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function alone(
  make: (deps: WorkloadDeps, signal: AbortSignal) => Reconciler[],
  clock: FakeClock = fakeClock(),
  client: FakeClient = fakeClient({ clock }),
): Promise<Alone> {
  const events: string[] = []
  const complaints: string[] = []
  const complain = ({ err, ...fields }: { err?: unknown }, message: string) =>
    void complaints.push(`${message} ${JSON.stringify(fields)} ${err instanceof Error ? err.message : ''}`)
  const log: Log = { debug() {}, info() {}, warn: complain, error: complain }
  const recorderFor = () => ({
    event: (_: unknown, type: string, reason: string, message: string) => void events.push(`${type} ${reason}: ${message}`),
    flush: async () => {},
    close: async () => {},
  })

  function begin() {
    const stop = new AbortController()
    const shared = informers({ client, log, clock, random: () => 0.5 })
    const observed = observing(client, shared)
    const deps: WorkloadDeps = {
      client: observed,
      informers: shared,
      clock,
      log,
      recorderFor,
      podControlFor: (_, words) => podControl({ client: observed, informers: shared, events: recorderFor(), ...(words && { words }) }),
    }
    const running = run(make(deps, stop.signal), { informers: shared, clock, log, signal: stop.signal })
    return async () => {
      stop.abort()
      await shared.close()
      await running
    }
  }
  let end = begin()
  await settle(20)
  return {
    client,
    clock,
    events,
    complaints,
    settle: () => settle(20),
    async restart() {
      await end()
      end = begin()
      await settle(20)
    },
    async [Symbol.asyncDispose]() {
      await end()
    },
  }
}
