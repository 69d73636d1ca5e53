// What server, scheduler, controllers and agents all need to know of a pod.

import { timestamp } from './clock.ts'
import type { Pod, PodCondition } from './types/core-v1.gen.ts'

type Phased = { readonly status?: { readonly phase?: string } }
type Conditioned = { readonly status?: { readonly conditions?: readonly { readonly type?: string; readonly status?: string }[] } }

/** Its containers have ended for good, and with them what it used. */
export const isTerminal = ({ status }: Phased): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed'

export const readyCondition = (pod: Pod): PodCondition | undefined => pod.status?.conditions?.find(({ type }) => type === 'Ready')

/** Of nodes too. */
export const isReady = ({ status }: Conditioned): boolean =>
  status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false

/** Says that the pod goes for a reason that is not its own, and by whom: jobs, for one, may not count that as a failure. */
export const disruptionTarget = (reason: string, message: string, now: number) => ({
  type: 'DisruptionTarget' as const,
  status: 'True' as const,
  reason,
  message,
  lastTransitionTime: timestamp(now),
})
