// The plugins of one `schedulerName`, and how they choose a node for a pod together.

import type { Cluster } from '../cluster/cluster.ts'
import type { NodeInfo } from '../cluster/node-info.ts'
import type { PodInfo } from '../cluster/pod-info.ts'
import type { Filter, NodeRefusal, Plugin, PostFiltered, Refusal } from './plugin.ts'
import { best } from './rank.ts'
import { refusalText } from './refusal-text.ts'

export type Profile = {
  schedulerName: string
  /** Of all nodes, how many that fit are looked for before the best of them is taken; 0: fewer, the more nodes there are. */
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
    const narrowing: string[] = []
    for (const plugin of profile.plugins.filters) {
      const found = plugin.preFilter?.(pod)
      if (!found) continue
      if (found.refusal) return this.#nowhere(pod, profile, nodes, { everywhere: found.refusal, refused: [], by: [plugin], filters })
      filters.push({ plugin, filter: found.filter })
      if (!found.only) continue
      only = only ? only.intersection(found.only) : found.only
      narrowing.push(plugin.name)
    }

    const promised = this.#cluster.nominations.nodeOf(pod.uid)
    const kept = promised === undefined ? undefined : this.#cluster.node(promised)
    if (kept && (!only || only.has(kept.name)) && !this.#ask(pod, kept, filters)) return { nodeName: kept.name }

    const candidates: NodeInfo[] = []
    const refused: NodeRefusal[] = []
    const by = new Set<Plugin>()
    const asked = only ? [...only].flatMap((name) => this.#cluster.node(name) ?? []) : nodes
    const enough = only ? asked.length : this.#enough(nodes.length, profile.percentageOfNodesToScore)
    const from = asked === nodes ? this.#start % nodes.length : 0
    let looked = 0
    for (; looked < asked.length && candidates.length < enough; looked += 1) {
      const at = from + looked
      const node = asked[at < asked.length ? at : at - asked.length]!
      const objection = this.#ask(pod, node, filters)
      if (!objection) candidates.push(node)
      else {
        refused.push({ node, refusal: objection.refusal })
        by.add(objection.plugin)
      }
    }
    if (asked === nodes) this.#start = from + looked
    if (candidates.length === 0) {
      const rest = only
        ? { reason: `node(s) didn't satisfy plugin(s) [${narrowing.join(' ')}]`, count: nodes.length - asked.length }
        : undefined
      for (const { plugin } of filters) if (narrowing.includes(plugin.name)) by.add(plugin)
      return this.#nowhere(pod, profile, nodes, { refused, by: [...by], filters, ...(rest && { rest }) })
    }
    if (candidates.length === 1) return { nodeName: candidates[0]!.name }
    return { nodeName: best(pod, candidates, profile.plugins.scores, this.#random).name }
  }

  /** The first objection to the node, with those there for whom room must be left. */
  #ask(pod: PodInfo, node: NodeInfo, filters: readonly { plugin: Plugin; filter: Filter }[]): Objection | undefined {
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
    if (!everywhere) {
      for (const plugin of plugins.postFilters) {
        const done = plugin.postFilter?.(pod, refused, fits)
        postFiltered ??= done
        if (done?.nominated !== undefined) {
          postFiltered = done
          break
        }
      }
    }
    const message = refusalText(nodes.length, { refused, ...(everywhere && { everywhere }), ...(rest && { rest }) })
    return { message: postFiltered?.message ? `${message} ${postFiltered.message}` : message, by, ...(postFiltered && { postFiltered }) }
  }

  #enough(count: number, percentage: number): number {
    if (count <= fewest || percentage >= 100) return count
    const share = percentage > 0 ? percentage : Math.max(5, 50 - Math.floor(count / 125))
    return Math.max(fewest, Math.floor((count * share) / 100))
  }
}

type Objection = { plugin: Plugin; refusal: Refusal }

type Nowhere = {
  refused: readonly NodeRefusal[]
  by: readonly Plugin[]
  filters: readonly { plugin: Plugin; filter: Filter }[]
  everywhere?: Refusal
  rest?: { reason: string; count: number }
}

function firstObjection(node: NodeInfo, filters: readonly { plugin: Plugin; filter: Filter }[]): Objection | undefined {
  for (const { plugin, filter } of filters) {
    const refusal = filter(node)
    if (refusal) return { plugin, refusal }
  }
  return undefined
}
