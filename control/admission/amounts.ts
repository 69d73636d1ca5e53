// Sums of resources, exact: how much a pod asks for and is allowed, as quotas and limit ranges count it.

import { addQuantities, parseQuantity, type Quantity, QuantityError } from '#api/schema/quantity.ts'
import type { Container, PodSpec, ResourceList } from '#api/types/core-v1.gen.ts'

/** By the name of the resource. */
export type Amounts = ReadonlyMap<string, Quantity>

/** What is no quantity is left out: validation will say so. */
export function amountsOf(list: ResourceList | undefined): Map<string, Quantity> {
  const amounts = new Map<string, Quantity>()
  for (const [name, text] of Object.entries(list ?? {})) {
    try {
      amounts.set(name, parseQuantity(text))
    } catch (error) {
      if (!(error instanceof QuantityError)) throw error
    }
  }
  return amounts
}

export const whole = (count: number): Quantity => ({ nano: BigInt(count) * 1_000_000_000n, family: 'decimal' })
export const nothing = whole(0)

export function add(total: Map<string, Quantity>, more: Amounts, sign: 1 | -1 = 1): void {
  for (const [name, { nano, family }] of more)
    total.set(name, addQuantities(total.get(name) ?? nothing, { nano: sign === 1 ? nano : -nano, family }))
}

function raise(total: Map<string, Quantity>, least: Amounts): void {
  for (const [name, amount] of least) if ((total.get(name)?.nano ?? -1n) < amount.nano) total.set(name, amount)
}

type Side = 'requests' | 'limits'

/**
 * Of a whole pod (KEP-753): containers and restartable init containers run together; a plain init
 * container runs with the restartable ones before it, and the pod counts for whichever is more.
 */
export function podAmounts(spec: PodSpec, side: Side): Map<string, Quantity> {
  const own = (container: Container) => amountsOf(container.resources?.[side])
  const sidecars = new Map<string, Quantity>()
  const peak = new Map<string, Quantity>()
  for (const init of spec.initContainers ?? []) {
    const together = new Map(sidecars)
    add(together, own(init))
    raise(peak, together)
    if (init.restartPolicy === 'Always') add(sidecars, own(init))
  }
  const total = new Map(sidecars)
  for (const container of spec.containers ?? []) add(total, own(container))
  raise(total, peak)
  for (const [name, amount] of amountsOf(spec.resources?.[side])) total.set(name, amount)
  const overhead = amountsOf(spec.overhead)
  // What has no limit has none with its overhead either.
  add(total, side === 'requests' ? overhead : new Map([...overhead].filter(([name]) => total.has(name))))
  return total
}
