// One question to a node: does the pod fit?

import type { NodeState } from './cluster.ts'

/** Reasons against the node; none: the pod fits. */
export type Filter = (state: NodeState) => readonly string[]

export type Namespaces = { labelsOf(namespace: string): Record<string, string> }
