// What the node and its containers use: the kubelet's `/stats/summary` (JSON) and `/metrics/resource`
// (Prometheus text). Rates are over the time between two asks, so that nothing is sampled unasked.

import { readFile } from 'node:fs/promises'
import type { ContainerState, Runtime } from '../runtime/runtime.ts'

type Stats = { cpuNanos: number; memoryWorkingSetBytes: number; memoryUsageBytes: number }
type Sample = { at: number; cpuNanos: number; rate?: number }
export type Usage = { node: NodeUsage; containers: { state: ContainerState; stats: Stats }[] }
type NodeUsage = Stats & { memoryAvailableBytes: number; startTime: string }

/** proc_stat(5) counts in these (USER_HZ, 100 on every architecture of Linux's today). */
const nanosPerTick = 1e7
/** Rates over less are noise. */
const shortestMs = 1000

export async function readUsage(runtime: Pick<Runtime, 'list' | 'stats'>): Promise<Usage> {
  const running = (await runtime.list()).filter(({ phase }) => phase === 'running')
  const [node, ...stats] = await Promise.all([readNode(), ...running.map(({ id }) => runtime.stats(id))])
  const containers = running.flatMap((state, index) => (stats[index] ? [{ state, stats: stats[index] }] : []))
  return { node, containers }
}

async function readNode(): Promise<NodeUsage> {
  const [stat, meminfo] = await Promise.all(['/proc/stat', '/proc/meminfo'].map((file) => readFile(file, 'utf8')))
  // user nice system idle iowait irq softirq steal
  const ticks = /^cpu +([\d ]+)$/m.exec(stat!)![1]!.split(' ').map(Number)
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = ticks
  const memory = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo!)?.[1] ?? 0) * 1024
  const [total, free, available] = [memory('MemTotal'), memory('MemFree'), memory('MemAvailable')]
  return {
    cpuNanos: (user + nice + system + irq + softirq + steal) * nanosPerTick,
    memoryUsageBytes: total - free,
    memoryWorkingSetBytes: total - available,
    memoryAvailableBytes: available,
    startTime: new Date(Number(/^btime (\d+)$/m.exec(stat!)![1]) * 1000).toISOString(),
  }
}

/** Remembers the last ask of each series. */
export class Rates {
  #samples = new Map<string, Sample>()
  #now: () => number

  /** Milliseconds on a clock that never jumps. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** CPU in nanocores since the last ask; undefined the first time. */
  of(key: string, cpuNanos: number): number | undefined {
    const nowMs = this.#now()
    const last = this.#samples.get(key)
    if (last && nowMs - last.at < shortestMs) return last.rate
    const rate = last && Math.max(Math.round(((cpuNanos - last.cpuNanos) * 1000) / (nowMs - last.at)), 0)
    this.#samples.set(key, { at: nowMs, cpuNanos, rate })
    return rate
  }

  /** Forgets series that are gone. */
  keep(keys: ReadonlySet<string>): void {
    for (const key of this.#samples.keys()) if (!keys.has(key)) this.#samples.delete(key)
  }
}

/** The Summary of the kubelet's stats API, as far as it is known here. */
export function summary(usage: Usage, rates: Rates, nodeName: string, now: number): object {
  const time = new Date(now).toISOString()
  const of = (key: string, stats: Stats, available?: number) => ({
    cpu: { time, usageNanoCores: rates.of(key, stats.cpuNanos), usageCoreNanoSeconds: stats.cpuNanos },
    memory: { time, availableBytes: available, usageBytes: stats.memoryUsageBytes, workingSetBytes: stats.memoryWorkingSetBytes },
  })
  const pods = Map.groupBy(usage.containers, ({ state }) => state.spec.pod.uid)
  const keys = new Set(['', ...pods.keys(), ...usage.containers.map(({ state }) => state.id)])
  rates.keep(keys)
  return {
    node: { nodeName, startTime: usage.node.startTime, ...of('', usage.node, usage.node.memoryAvailableBytes) },
    pods: [...pods.values()].map((containers) => ({
      podRef: containers[0]!.state.spec.pod,
      startTime: containers.map(({ state }) => state.startedAt!).sort()[0],
      ...of(containers[0]!.state.spec.pod.uid, sum(containers.map(({ stats }) => stats))),
      containers: containers.map(({ state, stats }) => ({ name: state.spec.name, startTime: state.startedAt, ...of(state.id, stats) })),
    })),
  }
}

const sum = (all: Stats[]): Stats => ({
  cpuNanos: all.reduce((total, { cpuNanos }) => total + cpuNanos, 0),
  memoryUsageBytes: all.reduce((total, { memoryUsageBytes }) => total + memoryUsageBytes, 0),
  memoryWorkingSetBytes: all.reduce((total, { memoryWorkingSetBytes }) => total + memoryWorkingSetBytes, 0),
})

/** The kubelet's resource metrics, which metrics-server scrapes. */
export function resourceMetrics(usage: Usage, now: number): string {
  const lines: string[] = []
  const metric = (name: string, type: string, help: string, samples: [labels: Record<string, string>, value: number][]) => {
    lines.push(`# HELP ${name} [STABLE] ${help}`, `# TYPE ${name} ${type}`)
    for (const [labels, value] of samples) lines.push(`${name}${labelText(labels)} ${value} ${now}`)
  }
  const pods = [...Map.groupBy(usage.containers, ({ state }) => state.spec.pod.uid).values()]
  const ofContainer = ({ state: { spec } }: Usage['containers'][0]) => ({
    container: spec.name,
    namespace: spec.pod.namespace,
    pod: spec.pod.name,
  })
  const ofPod = ([first]: Usage['containers']) => ({ namespace: first!.state.spec.pod.namespace, pod: first!.state.spec.pod.name })
  const perContainer = (value: (container: Usage['containers'][0]) => number) =>
    usage.containers.map((c): [Record<string, string>, number] => [ofContainer(c), value(c)])
  const perPod = (value: (stats: Stats) => number) =>
    pods.map((all): [Record<string, string>, number] => [ofPod(all), value(sum(all.map(({ stats }) => stats)))])
  const seconds = ({ cpuNanos }: Stats) => cpuNanos / 1e9
  const workingSet = ({ memoryWorkingSetBytes }: Stats) => memoryWorkingSetBytes

  const [cpuHelp, memoryHelp] = ['Cumulative cpu time consumed in core-seconds', 'Current working set in bytes']
  metric(
    'container_cpu_usage_seconds_total',
    'counter',
    cpuHelp,
    perContainer(({ stats }) => seconds(stats)),
  )
  metric(
    'container_memory_working_set_bytes',
    'gauge',
    memoryHelp,
    perContainer(({ stats }) => workingSet(stats)),
  )
  metric(
    'container_start_time_seconds',
    'gauge',
    'Start time since the epoch in seconds',
    perContainer(({ state }) => Date.parse(state.startedAt!) / 1000),
  )
  metric('node_cpu_usage_seconds_total', 'counter', cpuHelp, [[{}, seconds(usage.node)]])
  metric('node_memory_working_set_bytes', 'gauge', memoryHelp, [[{}, workingSet(usage.node)]])
  metric('pod_cpu_usage_seconds_total', 'counter', cpuHelp, perPod(seconds))
  metric('pod_memory_working_set_bytes', 'gauge', memoryHelp, perPod(workingSet))
  lines.push(
    '# HELP resource_scrape_error [STABLE] 1 if there was an error, 0 otherwise',
    '# TYPE resource_scrape_error gauge',
    'resource_scrape_error 0',
  )
  return `${lines.join('\n')}\n`
}

/** Names of Kubernetes need no escapes. */
const labelText = (labels: Record<string, string>): string => {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`)
  return pairs.length > 0 ? `{${pairs.join(',')}}` : ''
}
