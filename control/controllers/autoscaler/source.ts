// Where an autoscaler's metrics come from: metrics.k8s.io (built in, unless somebody else serves it),
// custom.metrics.k8s.io and external.metrics.k8s.io, whose servers register themselves by APIServices.

import type { Client } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import { PodMetrics } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { millis } from '#api/quantity.ts'
import { formatLabels, labelSelector } from '#api/selector/label.ts'
import type { CrossVersionObjectReference, MetricIdentifier } from '#api/types/autoscaling-v2.gen.ts'

/** Use of one pod by container, in thousandths; and over how much time it was taken. */
export type Used = { containers: ReadonlyMap<string, number>; windowMs: number }

type Value = KubeObject & { describedObject?: { name?: string }; value: string }

const customVersions = ['v1beta2', 'v1beta1']

export class MetricSource {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /** By pod name, in thousandths. Pods that have nothing to tell are not in it. */
  async resource(resource: string, namespace: string, selector: string, signal: AbortSignal): Promise<Map<string, Used>> {
    const { items } = await this.#client.list(PodMetrics, { namespace, labelSelector: selector, signal })
    const found = new Map<string, Used>()
    for (const { metadata, containers, window } of items) {
      const used = containers.flatMap(({ name, usage }) => {
        const amount = (usage as Record<string, string> | undefined)?.[resource]
        return amount === undefined ? [] : [[name, millis(amount)] as const]
      })
      if (used.length) found.set(metadata.name, { containers: new Map(used), windowMs: Number.parseFloat(window) * 1000 || 0 })
    }
    return found
  }

  /** By pod name. */
  async pods({ name }: MetricIdentifier, namespace: string, selector: string, signal: AbortSignal): Promise<Map<string, number>> {
    const items = await this.#custom(`pods/*/${encodeURIComponent(name)}`, namespace, selector, signal)
    return new Map(items.map(({ describedObject, value }) => [describedObject?.name ?? '', millis(value)]))
  }

  /** `plural` is the described object's kind's, with its group: `ingresses.networking.k8s.io`. */
  async object(
    { name }: MetricIdentifier,
    plural: string,
    described: CrossVersionObjectReference,
    namespace: string | undefined,
    signal: AbortSignal,
  ): Promise<number> {
    const path = `${plural}/${encodeURIComponent(described.name)}/${encodeURIComponent(name)}`
    const [value] = await this.#custom(path, namespace, undefined, signal)
    if (!value) throw new Error('no custom metric returned')
    return millis(value.value)
  }

  /** The sum of all series. */
  async external({ name, selector }: MetricIdentifier, namespace: string, signal: AbortSignal): Promise<number> {
    const kind = kindOf('external.metrics.k8s.io', 'v1beta1', encodeURIComponent(name), true)
    const labels = formatLabels(labelSelector(selector ?? {}) ?? [])
    const { items } = await this.#client.list(kind, { namespace, ...(labels && { labelSelector: labels }), signal })
    if (items.length === 0) throw new Error('no metrics returned from external metrics API')
    return items.reduce((total, { value }) => total + millis(value), 0)
  }

  async #custom(plural: string, namespace: string | undefined, selector: string | undefined, signal: AbortSignal): Promise<Value[]> {
    let failure: unknown
    for (const version of customVersions) {
      try {
        const kind = kindOf('custom.metrics.k8s.io', version, plural, namespace !== undefined)
        const { items } = await this.#client.list(kind, {
          ...(namespace && { namespace }),
          ...(selector && { labelSelector: selector }),
          signal,
        })
        return items
      } catch (error) {
        failure ??= error
        if (!isStatus(error, 'NotFound')) throw error
      }
    }
    throw failure
  }
}

const kindOf = (group: string, version: string, plural: string, namespaced: boolean): Kind<Value> => ({
  group,
  version,
  kind: 'MetricValueList',
  plural,
  namespaced,
})
