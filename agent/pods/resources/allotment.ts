// What the node has allotted to a container of what its pod asks for, beside what its process has.

import type { Container, ResourceRequirements } from '#api/types/core-v1.gen.ts'

/** Of a container: what it was started with or last given, and what it shall have. */
export type Allotted = {
  container: Container
  allotted: ResourceRequirements
  current?: { phase: 'running' | 'exited'; resources?: ResourceRequirements }
}

export const resizable = ['cpu', 'memory'] as const

/** Which of cpu and memory are not the same in both. */
export const differing = (a: ResourceRequirements | undefined, b: ResourceRequirements | undefined): (typeof resizable)[number][] =>
  resizable.filter((name) => a?.limits?.[name] !== b?.limits?.[name] || a?.requests?.[name] !== b?.requests?.[name])

/** What the process has is not what was allotted. */
const lagging = ({ current, allotted }: Allotted) => (current?.phase === 'running' ? differing(current.resources, allotted) : [])

export const isLagging = (record: Allotted): boolean => lagging(record).length > 0

/** The container's policy wants it started anew for what changes. */
export function mustRestart(record: Allotted): boolean {
  const changed: readonly string[] = record.current ? differing(record.current.resources, record.allotted) : []
  return (record.container.resizePolicy ?? []).some((p) => p.restartPolicy === 'RestartContainer' && changed.includes(p.resourceName))
}
