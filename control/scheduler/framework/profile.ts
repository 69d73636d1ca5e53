// The plugins of one `schedulerName`, and how they choose a node for a pod together.

import type { Cluster } from '../cluster/cluster.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Domains, Filter, NodeRefusal, Plugin, PostFiltered, Refusal } from './plugin.ts'
import { best } from './rank.ts'
import { refusalText } from './refusal-text.ts'

export type Profile = {
  schedulerName: string
  /**
   * Of all nodes, how many that fit are looked for before the best of them is taken. 0: a hundred; for pods that
   * prefer some nodes to others a share that is the smaller the more nodes there are.
   */
  percentageOfNodesToScore: number
  plugins: PluginSet
}

export type PluginSet = {
  queueSort: Required<Pick<Plugin, 'before'>>
  preEnqueue: readonly Plugin[]
  filters: readonly Plugin[]
  postFilters: readonly Plugin[]
  scores: readonly { plugin: Plugin; weight: number }[]
  reserves: readonly Plugin[]
  permits: readonly Plugin[]
  preBinds: readonly Plugin[]
  binds: readonly Plugin[]
  postBinds: readonly Plugin[]
}

export type Placement =
  | { nodeName: string; message?: undefined }
  /** `by`: the plugins that refused it; their hints tell when to try again. */
  | { nodeName?: undefined; message: string; by: readonly Plugin[]; postFiltered?: PostFiltered }

/** Nodes that fit below which none is left out. */
const fewest = 100

export class Placer {
  readonly #cluster: Cluster
  readonly #random: () => number
  /** Where the next look at some of the nodes begins. */
  #start = 0

  constructor({ cluster, random }: { cluster: Cluster; random: () => number }) {
    this.#cluster = cluster
    this.#random = random
  }

  /** Changes nothing: `assume` is the caller's. */
  place(pod: PodInfo, profile: Profile): Placement {
    const { nodes } = this.#cluster
    if (nodes.length === 0) return { message: 'no nodes available to schedule pods', by: [] }
    const filters: { plugin: Plugin; filter: Filter }[] = []
    let only: ReadonlySet<string> | undefined
    let domains: Domains | undefined
    const narrowing: Plugin[] = []
    for (const plugin of profile.plugins.filters) {
      const found = plugin.preFilter?.(pod)
      if (!found) continue
      if (found.refusal) return this.#nowhere(pod, profile, nodes, { everywhere: found.refusal, refused: [], by: [plugin], filters })
      filters.push({ plugin, filter: found.filter })
      domains ??= found.domains
      if (!found.only) continue
      only = only ? only.intersection(found.only) : found.only
      narrowing.push(plugin)
    }

    const promised = this.#cluster.nominations.nodeOf(pod.uid)
    const kept = promised === undefined ? undefined : this.#cluster.node(promised)
    if (kept && (!only || only.has(kept.name)) && !this.#ask(pod, kept, filters)) return { nodeName: kept.name }

    const found = this.#fitting(pod, filters, { only, domains, enough: this.#enough(pod, nodes.length, profile.percentageOfNodesToScore) })
    if (found.length === 1) return { nodeName: found[0]!.name }
    if (found.length > 1) return { nodeName: best(pod, found, profile.plugins.scores, this.#random).name }

    const refused: NodeRefusal[] = []
    const by = new Set<Plugin>(narrowing)
    const asked = only ? this.#named(only) : nodes
    for (const node of asked) {
      const objection = this.#ask(pod, node, filters)
      if (!objection) continue
      refused.push({ node, refusal: objection.refusal })
      by.add(objection.plugin)
    }
    const names = narrowing.map(({ name }) => name).join(' ')
    const rest = only && { reason: `node(s) didn't satisfy plugin(s) [${names}]`, count: nodes.length - asked.length }
    return this.#nowhere(pod, profile, nodes, { refused, by: [...by], filters, ...(rest && { rest }) })
  }

  /** As many nodes that fit as are wanted; others than the last time, where there are more. */
  #fitting(pod: PodInfo, filters: Asked, { only, domains, enough }: Scope): NodeInfo[] {
    const found: NodeInfo[] = []
    const { nodes } = this.#cluster
    const start = this.#start
    let looked = 0
    const look = (node: NodeInfo): boolean => {
      looked += 1
      if (!this.#ask(pod, node, filters)) found.push(node)
      return found.length < enough
    }
    if (only) this.#named(only).every(look)
    else if (domains) byTurns(allowedDomains(this.#cluster.domains(domains.key), domains), start, look)
    else for (let i = 0; i < nodes.length && look(nodes[(start + i) % nodes.length]!); ) i += 1
    this.#start = (start + looked) % Math.max(1, nodes.length)
    return found
  }

  #named(names: ReadonlySet<string>): NodeInfo[] {
    return [...names].flatMap((name) => this.#cluster.node(name) ?? [])
  }

  /** The first objection to the node, with those there for whom room must be left. */
  #ask(pod: PodInfo, node: NodeInfo, filters: Asked): Objection | undefined {
    const others = this.#cluster.nominations.before(pod, node.name)
    if (others.length) {
      // Without them it has to fit too: they may not come, and an affinity may count on them.
      const objection = this.#cluster.with(node, others, () => firstObjection(node, filters))
      if (objection) return objection
    }
    return firstObjection(node, filters)
  }

  #nowhere(pod: PodInfo, { plugins }: Profile, nodes: readonly NodeInfo[], found: Nowhere): Placement {
    const { refused, by, everywhere, rest, filters } = found
    let postFiltered: PostFiltered | undefined
    const fits = (node: NodeInfo) => this.#ask(pod, node, filters)?.refusal
    for (const plugin of plugins.postFilters) {
      const done = plugin.postFilter?.(pod, refused, fits)
      postFiltered ??= done
      if (!done?.nominated) continue
      postFiltered = done
      break
    }
    const message = refusalText(nodes.length, { refused, ...(everywhere && { everywhere }), ...(rest && { rest }) })
    return { message: postFiltered?.message ? `${message} ${postFiltered.message}` : message, by, ...(postFiltered && { postFiltered }) }
  }

  #enough(pod: PodInfo, count: number, percentage: number): number {
    if (count <= fewest || percentage >= 100) return count
    if (percentage === 0 && !isParticular(pod)) return fewest
    const share = percentage > 0 ? percentage : Math.max(5, 50 - Math.floor(count / 125))
    return Math.max(fewest, Math.floor((count * share) / 100))
  }
}

type Asked = readonly { plugin: Plugin; filter: Filter }[]
type Scope = { only: ReadonlySet<string> | undefined; domains: Domains | undefined; enough: number }

/** To others one node that fits is as good as the next, but for how full it is. */
const isParticular = ({ pod: { spec }, preferred }: PodInfo): boolean =>
  preferred.length > 0 ||
  spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution !== undefined ||
  spec.topologySpreadConstraints?.some(({ whenUnsatisfiable }) => whenUnsatisfiable === 'ScheduleAnyway') === true

function allowedDomains(all: ReadonlyMap<string | undefined, readonly NodeInfo[]>, domains: Domains): (readonly NodeInfo[])[] {
  const allowed: (readonly NodeInfo[])[] = []
  for (const [value, nodes] of all) if (domains.allows(value)) allowed.push(nodes)
  return allowed
}

/** One node of each domain after the other, until `look` has seen enough. */
function byTurns(domains: readonly (readonly NodeInfo[])[], start: number, look: (node: NodeInfo) => boolean): void {
  let longest = 0
  for (const { length } of domains) if (length > longest) longest = length
  for (let turn = 0; turn < longest; turn += 1) {
    for (let i = 0; i < domains.length; i += 1) {
      const nodes = domains[(start + i) % domains.length]!
      if (turn < nodes.length && !look(nodes[(start + turn) % nodes.length]!)) return
    }
  }
}

type Objection = { plugin: Plugin; refusal: Refusal }

type Nowhere = {
  refused: readonly NodeRefusal[]
  by: readonly Plugin[]
  filters: Asked
  everywhere?: Refusal
  rest?: { reason: string; count: number }
}

function firstObjection(node: NodeInfo, filters: Asked): Objection | undefined {
  for (const { plugin, filter } of filters) {
    const refusal = filter(node)
    if (refusal) return { plugin, refusal }
  }
  return undefined
}
