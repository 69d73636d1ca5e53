// metrics.k8s.io: what `kubectl top` shows and autoscalers read, as long as no other server has this group.

import { timestamp } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import { Node, NodeMetrics, Pod, PodMetrics } from '#api/kinds/index.ts'
import { apiVersionOf, type Kind, type KubeObject } from '#api/kinds/kind.ts'
import { labelMatcher } from '#api/selector/label.ts'
import { Item } from '../cache/item.ts'
import { selectionOf } from '../cache/selection.ts'
import { answerItem, answerList } from '../http/answer.ts'
import type { ResourceHandler } from '../http/handler.ts'
import type { Exchange } from '../http/request.ts'
import type { Route } from '../http/stages/resources.ts'
import type { Core } from '../objects/core.ts'
import { notFound } from '../objects/resource.ts'
import type { NodeUsage, Usage } from '../views/usage.ts'

type Deps = { core: Core; handler: ResourceHandler; usage: Usage }
type Measured = (node: string) => Promise<NodeUsage | undefined>

export const metricsRoute =
  ({ core, handler, usage }: Deps): Route =>
  async (exchange, resource) => {
    const { info, url } = exchange
    if (resource?.kind.group !== NodeMetrics.group) return undefined
    if (
      !resource.verbs.includes(info.verb) ||
      info.subresource !== '' ||
      (info.name !== undefined && resource.kind.namespaced && !info.namespace)
    )
      throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    const look = handler.look(resource, exchange, [])
    const text = (name: string) => url.searchParams.get(name) || undefined
    const selection = selectionOf(resource.spec, text('labelSelector'), text('fieldSelector'))
    const found =
      resource.kind.kind === NodeMetrics.kind
        ? await ofNodes(core, usage, exchange)
        : await podMetrics({ core, usage }, { ...info, labelSelector: text('labelSelector') })
    const items = found.map(itemOf).filter((item) => selection.matches(item))
    if (info.verb === 'list') return await answerList(resource, { items, revision: core.revision }, look)
    const [item] = items
    if (!item) throw notFound(resource, info.name ?? '')
    return await answerItem(resource, item, look)
  }

async function ofNodes(core: Core, usage: Usage, { info }: Exchange): Promise<KubeObject[]> {
  const nodes = (await read<Node>(core, Node, undefined)).filter(({ metadata }) => info.name === undefined || metadata.name === info.name)
  const measured = await Promise.all(nodes.map(({ metadata }) => usage.of(metadata.name)))
  return nodes.flatMap((node, i) => {
    const found = measured[i]
    return found ? [metricsOf(NodeMetrics, node, found, { usage: amount(found.node) })] : []
  })
}

/** Only the nodes of the pods that are asked for are asked themselves. */
export async function podMetrics(
  { core, usage }: Pick<Deps, 'core' | 'usage'>,
  asked: { namespace?: string | undefined; name?: string | undefined; labelSelector?: string | undefined },
): Promise<KubeObject[]> {
  const matches = labelMatcher(asked.labelSelector ?? '')
  const pods = (await read<Pod>(core, Pod, asked.namespace)).filter(
    ({ metadata, spec }) => spec.nodeName && (asked.name === undefined || metadata.name === asked.name) && matches(metadata.labels),
  )
  const of: Measured = (node) => usage.of(node)
  const names = [...new Set(pods.map(({ spec }) => spec.nodeName ?? ''))]
  const measured = new Map(await Promise.all(names.map(async (name) => [name, await of(name)] as const)))
  return pods.flatMap((pod) => {
    const node = measured.get(pod.spec.nodeName ?? '')
    const own = node?.containers.filter(({ uid }) => uid === pod.metadata.uid) ?? []
    if (!node || own.length === 0) return []
    return [metricsOf(PodMetrics, pod, node, { containers: own.map((each) => ({ name: each.container, usage: amount(each) })) })]
  })
}

async function read<T extends KubeObject>(core: Core, kind: Kind<T>, namespace: string | undefined): Promise<T[]> {
  const { items } = await core.list({ resource: core.resources.of(kind), namespace, resourceVersion: '0' })
  return items.map(({ object }) => object as T)
}

function metricsOf(
  kind: Kind,
  { metadata: { name, namespace, labels } }: KubeObject,
  { at, windowMs }: NodeUsage,
  usage: object,
): KubeObject {
  const creationTimestamp = timestamp(at)
  const metadata = { name, ...(namespace && { namespace }), creationTimestamp, ...(labels && { labels }) }
  const measured = { timestamp: creationTimestamp, window: `${Number((windowMs / 1000).toFixed(3))}s` }
  return { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata: metadata as KubeObject['metadata'], ...measured, ...usage }
}

/** As metrics-server writes them. */
const amount = ({ cpu, memory }: { cpu: number; memory: number }) => ({ cpu: `${cpu}n`, memory: `${Math.round(memory / 1024)}Ki` })

function itemOf(object: KubeObject): Item {
  const { name, namespace } = object.metadata
  return new Item({
    key: namespace ? `${namespace}/${name}` : name,
    value: Buffer.from(JSON.stringify(object)),
    createRevision: 0,
    modRevision: 0,
  })
}
