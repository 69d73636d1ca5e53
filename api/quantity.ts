// Quantities as numbers to reckon with: rounded up to whole units or thousandths, as Kubernetes rounds.

import { parseQuantity, QuantityError } from './schema/quantity.ts'

const NANO = 1_000_000_000n

/** Nano-units, or undefined where `text` is no quantity. */
function nanos(text: string): bigint | undefined {
  try {
    return parseQuantity(text).nano
  } catch (error) {
    if (error instanceof QuantityError) return undefined
    throw error
  }
}

const ceilDivide = (a: bigint, b: bigint): bigint => (a + b - 1n) / b

export const isQuantity = (text: string): boolean => nanos(text) !== undefined

/** In whole units, rounded up: bytes, pods. What is no quantity counts 0. */
export const units = (text: string | undefined): number => divided(text, NANO)

/** In thousandths, rounded up: CPU. What is no quantity counts 0. */
export const millis = (text: string | undefined): number => divided(text, 1_000_000n)

/** How many of `divisor` fit into `text`, rounded up, as the downward API shows resources. A divisor of 0 is 1. */
export function dividedBy(text: string, divisor: string | undefined): bigint {
  const by = nanos(divisor ?? '1') || NANO
  return ceilDivide(nanos(text) ?? 0n, by)
}

function divided(text: string | undefined, by: bigint): number {
  const value = text === undefined ? undefined : nanos(text)
  if (value === undefined) return 0
  return Number(value < 0n ? -(-value / by) : ceilDivide(value, by))
}

/** Below 0, 0 or above, as sorting wants it. What is no quantity counts 0. */
export function compareQuantity(a: string, b: string): number {
  const difference = (nanos(a) ?? 0n) - (nanos(b) ?? 0n)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}
