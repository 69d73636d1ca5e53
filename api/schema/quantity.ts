// Resource quantities (apimachinery resource.Quantity): exact decimal numbers with a suffix of one of
// three families: decimal (`500m`, `2k`), binary (`64Mi`) and exponent (`1e3`).
// Finer than nano is rounded up, and more than 2^63-1 is cut off, as in Kubernetes.

type Family = 'decimal' | 'binary' | 'exponent'

/** `nano` is the value in billionths. */
export type Quantity = { readonly nano: bigint; readonly family: Family }

export class QuantityError extends Error {
  constructor(message = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'") {
    super(message)
    this.name = 'QuantityError'
  }
}

const shape = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/
const unit = 1_000_000_000n
const max = (2n ** 63n - 1n) * unit
const decimal: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }
const binary: Record<string, bigint> = { Ki: 1n, Mi: 2n, Gi: 3n, Ti: 4n, Pi: 5n, Ei: 6n }
const decimalBy = new Map(Object.entries(decimal).map(([suffix, exponent]) => [exponent, suffix]))
const binaryBy = new Map(Object.entries(binary).map(([suffix, power]) => [power, suffix]))

/** Throws QuantityError with Kubernetes' own text. */
export function parseQuantity(text: string): Quantity {
  const match = shape.exec(text)
  if (!match) throw new QuantityError()
  const [, sign = '', whole = '', fraction = '', suffix = ''] = match
  if (!whole && !fraction)
    throw new QuantityError(text.length > 0 && suffix !== text ? 'unable to parse numeric part of quantity' : undefined)
  const digits = (whole + fraction).replace(/^0+/, '')
  const { family, exponent, factor } = suffixOf(suffix)
  const size = digits ? scaled(digits, exponent + 9 - fraction.length, factor) : 0n
  const nano = size > max ? max : size
  return { nano: sign === '-' ? -nano : nano, family: family === 'binary' && nano < unit ? 'decimal' : family }
}

function suffixOf(suffix: string): { family: Family; exponent: number; factor: bigint } {
  const ten = decimal[suffix]
  if (ten !== undefined) return { family: 'decimal', exponent: ten, factor: 1n }
  const power = binary[suffix]
  if (power !== undefined) return { family: 'binary', exponent: 0, factor: 1024n ** power }
  const exponent = /^[eE]([-+]?[0-9]{1,9})$/.exec(suffix)?.[1]
  if (exponent === undefined) throw new QuantityError("unable to parse quantity's suffix")
  return { family: 'exponent', exponent: Number(exponent), factor: 1n }
}

/** digits × 10^exponent × factor, rounded up. Long input costs no more than what survives the rounding and the limit. */
function scaled(digits: string, exponent: number, factor: bigint): bigint {
  if (digits.length + exponent > 60) return max + 1n
  if (exponent >= 0) return BigInt(digits) * 10n ** BigInt(exponent) * factor
  const keep = digits.length + exponent + 30 // 30 more digits than nano: enough for any factor to be exact
  const kept = digits.slice(0, Math.max(keep, 0))
  const rest = /[1-9]/.test(digits.slice(kept.length)) ? 1n : 0n
  if (!kept) return 1n
  const drop = 10n ** BigInt(kept.length - digits.length - exponent)
  const value = BigInt(kept) * factor
  return value / drop + (value % drop > 0n || rest > 0n ? 1n : 0n)
}

/** The canonical spelling: no fraction, the largest suffix that keeps the value whole. */
export function formatQuantity({ nano, family }: Quantity): string {
  if (nano === 0n) return '0'
  const sign = nano < 0n ? '-' : ''
  const size = nano < 0n ? -nano : nano
  if (family === 'binary' && size >= 1024n * unit && size % unit === 0n) {
    let number = size / unit
    let power = 0n
    while (power < 6n && number % 1024n === 0n) {
      number /= 1024n
      power++
    }
    return `${sign}${number}${binaryBy.get(power) ?? ''}`
  }
  let number = size
  let exponent = -9
  while (exponent < 18 && number % 1000n === 0n) {
    number /= 1000n
    exponent += 3
  }
  if (family !== 'exponent') return `${sign}${number}${decimalBy.get(exponent)}`
  return `${sign}${number}${exponent === 0 ? '' : `e${exponent}`}`
}

/** The sum, in the family of `a` unless that is zero. */
export const addQuantities = (a: Quantity, b: Quantity): Quantity => ({
  nano: a.nano + b.nano,
  family: a.nano === 0n ? b.family : a.family,
})
