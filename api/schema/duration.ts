// Go's spelling of durations (`time.ParseDuration`, `Duration.String`): `1h30m0s`, `250ms`.

const units: Record<string, bigint> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}
const part = /^(\d{0,19})(?:\.(\d{0,40}))?(ns|us|µs|μs|ms|s|m|h)/

/** Nanoseconds, or undefined for what is not a duration. */
export function parseDuration(text: string): bigint | undefined {
  const negative = text.startsWith('-')
  let rest = text.replace(/^[+-]/, '')
  if (rest === '0') return 0n
  if (!rest) return undefined
  let total = 0n
  while (rest) {
    const match = part.exec(rest)
    if (!match || (!match[1] && !match[2])) return undefined
    const [all, whole = '', fraction = '', unit = ''] = match
    const scale = units[unit] ?? 1n
    total += BigInt(whole || '0') * scale + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length)
    rest = rest.slice(all.length)
  }
  return negative ? -total : total
}

export function formatDuration(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s'
  const sign = nanoseconds < 0n ? '-' : ''
  const size = nanoseconds < 0n ? -nanoseconds : nanoseconds
  if (size < 1000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return `${sign}${fixed(size, 3)}µs`
  if (size < 1_000_000_000n) return `${sign}${fixed(size, 6)}ms`
  const minutes = size / 60_000_000_000n
  const seconds = `${fixed(size % 60_000_000_000n, 9)}s`
  if (minutes === 0n) return sign + seconds
  return minutes < 60n ? `${sign}${minutes}m${seconds}` : `${sign}${minutes / 60n}h${minutes % 60n}m${seconds}`
}

/** size / 10^digits, without trailing zeros. */
function fixed(size: bigint, digits: number): string {
  const text = String(size).padStart(digits + 1, '0')
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`.replace(/\.?0+$/, '')
}
