// What the nodes and their containers use now, asked of the agents when somebody wants to know. Agents
// count; how much that is a second comes of two answers, so nothing is asked while nobody looks.

import { type Clock, sleep } from '#api/clock.ts'
import { readWithin } from '#api/streaming/bounded.ts'
import type { Core } from '../objects/core.ts'
import { type AgentTls, agentOf, callAgent } from '../routes/agent.ts'

/** `cpu` in nanoseconds since some start, or in nanocores; `memory`: bytes of the working set. */
type Amount = { cpu: number; memory: number }
type Sample = { at: number; node: Amount; containers: ReadonlyMap<string, Amount & Named> }
type Named = { namespace: string; pod: string; uid: string; container: string }

export type NodeUsage = {
  /** Wall time of the second answer, and between the two, in milliseconds. */
  at: number
  windowMs: number
  node: Amount
  containers: (Amount & Named)[]
}

type Stats = { cpu: { usageCoreNanoSeconds: number }; memory: { workingSetBytes: number } }
type Summary = {
  node: Stats
  pods: { podRef: { namespace: string; name: string; uid: string }; containers: (Stats & { name: string })[] }[]
}

/** Rates over less are noise, over more they tell of the past. */
const window = { leastMs: 1000, mostMs: 60_000 }
/** An answer is good for so long. */
const freshMs = 10_000
const answerWithinMs = 5_000
/** Of the most pods that a node has, and more. */
const mostBytes = 4 * 1024 * 1024

type Deps = { core: Core; tls: AgentTls; clock: Clock }

export class Usage {
  readonly #deps: Deps
  readonly #samples = new Map<string, Sample>()
  readonly #known = new Map<string, { at: number; usage: Promise<NodeUsage | undefined> }>()

  constructor(deps: Deps) {
    this.#deps = deps
  }

  /** Undefined: its agent does not tell. */
  of(node: string): Promise<NodeUsage | undefined> {
    const now = this.#deps.clock.monotonic()
    const known = this.#known.get(node)
    if (known && now - known.at < freshMs) return known.usage
    const usage = this.#measure(node)
    this.#known.set(node, { at: now, usage })
    // What failed is no answer to keep.
    void usage.then((found) => found ?? this.#known.delete(node))
    return usage
  }

  async #measure(node: string): Promise<NodeUsage | undefined> {
    const { clock } = this.#deps
    try {
      const last = this.#samples.get(node)
      const age = clock.monotonic() - (last?.at ?? 0)
      const isUseful = last && age >= window.leastMs && age <= window.mostMs
      const before = isUseful ? last : await this.#ask(node)
      if (!isUseful) await sleep(clock, window.leastMs)
      const now = await this.#ask(node)
      this.#samples.set(node, now)
      return usageBetween(before, now, clock.now())
    } catch {
      return undefined
    }
  }

  async #ask(node: string): Promise<Sample> {
    const { core, tls, clock } = this.#deps
    const signal = AbortSignal.timeout(answerWithinMs)
    const answer = await callAgent(await agentOf(core, node), '/stats/summary', { tls, signal })
    const summary = JSON.parse((await readWithin(answer, mostBytes)).toString()) as Summary
    const containers = summary.pods.flatMap(({ podRef, containers }) =>
      containers.map(({ name, ...stats }) => {
        const named = { namespace: podRef.namespace, pod: podRef.name, uid: podRef.uid, container: name }
        return [`${podRef.uid}/${name}`, { ...named, ...amountOf(stats) }] as const
      }),
    )
    return { at: clock.monotonic(), node: amountOf(summary.node), containers: new Map(containers) }
  }
}

const amountOf = ({ cpu, memory }: Stats): Amount => ({ cpu: cpu.usageCoreNanoSeconds, memory: memory.workingSetBytes })

/** A container that was not there before has no rate yet. */
export function usageBetween(before: Sample, now: Sample, at: number): NodeUsage {
  const windowMs = now.at - before.at
  const rate = (was: Amount, is: Amount) => Math.max(0, Math.round(((is.cpu - was.cpu) * 1000) / windowMs))
  return {
    at,
    windowMs,
    node: { ...now.node, cpu: rate(before.node, now.node) },
    containers: [...now.containers].flatMap(([key, is]) => {
      const was = before.containers.get(key)
      return was ? [{ ...is, cpu: rate(was, is) }] : []
    }),
  }
}
