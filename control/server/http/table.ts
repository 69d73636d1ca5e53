// Objects as rows of a table (meta.k8s.io Table), which is what `kubectl get` prints.

import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import type { KindSpec } from '#api/kinds/spec.ts'
import type { View } from './accept.ts'

export type IncludeObject = 'None' | 'Metadata' | 'Object'
type Rows = Pick<KindSpec, 'columns'>
type ListMeta = { resourceVersion?: string; continue?: string; remainingItemCount?: number }

export function tableOf(
  spec: Rows,
  objects: readonly KubeObject[],
  options: { view: View; include: IncludeObject; metadata: ListMeta; now: number; headers?: boolean },
): Record<string, unknown> {
  const { view, include, metadata, now } = options
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${view.version}`,
    metadata,
    columnDefinitions: options.headers === false ? null : columnDefinitions(spec),
    rows: objects.map((object) => ({
      cells: spec.columns.map((column) => column.cell(object, now)),
      ...(include !== 'None' && { object: include === 'Object' ? object : partial(object, view.version) }),
    })),
  }
}

const columnDefinitions = (spec: Rows) =>
  spec.columns.map(({ name, type = 'string', format = '', description = '', wide }) => ({
    name,
    type,
    format,
    description,
    priority: wide ? 1 : 0,
  }))

export const partial = ({ metadata }: Pick<KubeObject, 'metadata'>, version: string): KubeObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `meta.k8s.io/${version}`,
  metadata,
})

export const partialList = (objects: readonly KubeObject[], metadata: ListMeta, version: string): Record<string, unknown> => ({
  kind: 'PartialObjectMetadataList',
  apiVersion: `meta.k8s.io/${version}`,
  metadata,
  items: objects.map((object) => partial(object, version)),
})

/** A bookmark has the kind of what is watched, and nothing but a version. */
export function bookmarkOf(spec: KindSpec, revision: number, initial: boolean): KubeObject {
  const metadata = {
    resourceVersion: String(revision),
    creationTimestamp: null,
    ...(initial && { annotations: { 'k8s.io/initial-events-end': 'true' } }),
  }
  return { kind: spec.kind.kind, apiVersion: apiVersionOf(spec.kind), metadata: metadata as unknown as KubeObject['metadata'] }
}
