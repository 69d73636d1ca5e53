// Quantities as the API writes them: `250m`, `1.5Gi`, `1e3` (apimachinery api/resource). Exact in
// between: a value is kept as a whole number of nano-units, rounded up as Kubernetes rounds.

const NANO = 1_000_000_000n

const suffixes: Record<string, bigint> = {
  n: 1n,
  u: 1_000n,
  m: 1_000_000n,
  '': NANO,
  k: NANO * 10n ** 3n,
  M: NANO * 10n ** 6n,
  G: NANO * 10n ** 9n,
  T: NANO * 10n ** 12n,
  P: NANO * 10n ** 15n,
  E: NANO * 10n ** 18n,
  Ki: NANO << 10n,
  Mi: NANO << 20n,
  Gi: NANO << 30n,
  Ti: NANO << 40n,
  Pi: NANO << 50n,
  Ei: NANO << 60n,
}

const form = /^([+-]?)(\d*)(?:\.(\d*))?(?:([eE][+-]?\d{1,3})|([numkMGTPE]|[KMGTPE]i))?$/

/** Nano-units, or undefined where `text` is no quantity. */
function nanos(text: string): bigint | undefined {
  const match = form.exec(text)
  if (!match) return undefined
  const [, sign, whole = '', fraction = '', exponent, suffix = ''] = match
  if (!whole && !fraction) return undefined
  const power = (exponent ? Number(exponent.slice(1)) : 0) - fraction.length
  const scaled = BigInt(whole + fraction) * suffixes[suffix]! * (power > 0 ? 10n ** BigInt(power) : 1n)
  const value = power < 0 ? ceilDivide(scaled, 10n ** BigInt(-power)) : scaled
  return sign === '-' ? -value : value
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
