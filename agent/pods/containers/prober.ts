// The probes of one running container, each in its own rhythm (kubernetes pkg/kubelet/prober). The
// startup probe holds back the others until it succeeds.
//
// A container that is coming up is looked at sooner than its period says, for cheap probes: 50 ms after
// it failed, then 100, ... Such an early look can only find it well; it counts no failure and posts
// none. So a pod is ready when it is, and not up to ten seconds later.

import { type Clock, sleep } from '#api/clock.ts'
import type { Container, Probe } from '#api/types/core-v1.gen.ts'
import type { Check } from './probe.ts'

export type Health = { started: boolean; ready: boolean }
export type ProbeKind = 'startup' | 'readiness' | 'liveness'

export type ProberOptions = {
  container: Container
  /** Milliseconds that the container already runs. */
  age: number
  /** What was known of it before the agent restarted. */
  before?: Health
  clock: Clock
  check(probe: Probe, signal: AbortSignal): Promise<Check>
  onChange(health: Health): void
  /** A counted failure. */
  onFailure(kind: ProbeKind, output: string): void
  /** The container is to be killed. */
  onGiveUp(kind: 'startup' | 'liveness', probe: Probe): void
}

export type Prober = { readonly health: Health; stop(): void }

const EARLY_MS = 50

export function startProber(options: ProberOptions): Prober {
  const { container, clock, before } = options
  const { startupProbe, readinessProbe, livenessProbe } = container
  const stop = new AbortController()
  let health: Health = {
    started: before?.started ?? !startupProbe,
    ready: before?.ready ?? !(startupProbe || readinessProbe),
  }

  function change(next: Partial<Health>): void {
    const changed = { ...health, ...next }
    if (stop.signal.aborted || (changed.started === health.started && changed.ready === health.ready)) return
    health = changed
    options.onChange(health)
  }

  function started(): void {
    change({ started: true, ...(!readinessProbe && { ready: true }) })
    if (readinessProbe) void run('readiness', readinessProbe, (ready) => change({ ready }))
    if (livenessProbe) void run('liveness', livenessProbe, (well) => well || giveUp('liveness', livenessProbe))
  }

  function giveUp(kind: 'startup' | 'liveness', probe: Probe): void {
    stop.abort()
    options.onGiveUp(kind, probe)
  }

  /** Probes until stopped, or, for startup, until it succeeds. `verdict` hears of every threshold that is reached. */
  async function run(kind: ProbeKind, probe: Probe, verdict: (well: boolean) => void): Promise<void> {
    const { signal } = stop
    const period = (probe.periodSeconds ?? 10) * 1000
    const delay = (probe.initialDelaySeconds ?? 0) * 1000 - options.age
    if (delay > 0) await sleep(clock, delay, signal)
    const cheap = !probe.exec && kind !== 'liveness' && (probe.successThreshold ?? 1) <= 1
    let early = cheap && !(kind === 'readiness' && health.ready) ? EARLY_MS : period
    let due = clock.monotonic() + (early < period ? period : 0)
    let run = { well: true, length: 0 }
    while (!signal.aborted) {
      const { ok, output } = await attempt(probe)
      if (signal.aborted) return
      const counts = clock.monotonic() >= due
      if (ok || counts) run = run.well === ok ? { well: ok, length: run.length + 1 } : { well: ok, length: 1 }
      if (counts) due = clock.monotonic() + period
      if (ok) early = period
      else if (counts) options.onFailure(kind, output)
      if ((ok || counts) && run.length >= (ok ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3))) {
        verdict(ok)
        if (ok && kind === 'startup') return
      }
      await sleep(clock, Math.min(early, Math.max(due - clock.monotonic(), 0)), signal)
      early = Math.min(early * 2, period)
    }
  }

  async function attempt(probe: Probe): Promise<Check> {
    const limit = new AbortController()
    const abort = () => limit.abort()
    stop.signal.addEventListener('abort', abort, { once: true })
    const timer = clock.after((probe.timeoutSeconds ?? 1) * 1000, abort)
    try {
      return await options.check(probe, limit.signal)
    } finally {
      timer.cancel()
      stop.signal.removeEventListener('abort', abort)
    }
  }

  if (health.started) started()
  else void run('startup', startupProbe!, (well) => (well ? started() : giveUp('startup', startupProbe!)))
  return {
    get health() {
      return health
    },
    stop: () => stop.abort(),
  }
}
