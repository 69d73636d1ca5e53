// Semantic versions: `semver('1.2.3').isLessThan(semver('1.10.0'))`; `semver('v1.2', true)` reads sloppy ones.

import type { Environment } from '@marcbachmann/cel-js'

const form = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?$/

class Semver {
  readonly parts: readonly [bigint, bigint, bigint]
  readonly prerelease: readonly string[]
  constructor(text: string) {
    const [, major, minor, patch, prerelease] = form.exec(text) ?? []
    if (major === undefined || minor === undefined || patch === undefined)
      throw new Error(`No Major.Minor.Patch elements found in ${JSON.stringify(text)}`)
    this.parts = [BigInt(major), BigInt(minor), BigInt(patch)]
    this.prerelease = prerelease?.split('.') ?? []
  }
}

/** Without a `v` and leading zeros, with all three numbers. */
function normal(text: string): string {
  const [, numbers = '', rest = ''] = /^v?([\d.]*)(.*)$/.exec(text.trim()) ?? []
  const parts = numbers.split('.').map((part) => part.replace(/^0+(?=\d)/, ''))
  while (parts.length < 3) parts.push('0')
  return parts.join('.') + rest
}

function compare(a: Semver, b: Semver): bigint {
  for (const [i, part] of a.parts.entries()) {
    const other = b.parts[i] ?? 0n
    if (part !== other) return part < other ? -1n : 1n
  }
  if (!a.prerelease.length || !b.prerelease.length) return BigInt(Math.sign(b.prerelease.length - a.prerelease.length))
  for (let i = 0; i < Math.max(a.prerelease.length, b.prerelease.length); i++) {
    const [x, y] = [a.prerelease[i], b.prerelease[i]]
    if (x === y) continue
    if (x === undefined) return -1n
    if (y === undefined) return 1n
    const numeric = [/^\d+$/.test(x), /^\d+$/.test(y)] as const
    if (numeric[0] !== numeric[1]) return numeric[0] ? -1n : 1n
    return (numeric[0] ? BigInt(x) < BigInt(y) : x < y) ? -1n : 1n
  }
  return 0n
}

const read = (text: string, sloppy = false) => new Semver(sloppy ? normal(text) : text)

export function semvers(environment: Environment): void {
  environment
    .registerType('Semver', Semver)
    .registerOperator('Semver == Semver', (a: Semver, b: Semver) => compare(a, b) === 0n)
    .registerFunction('isSemver(string): bool', (text: string) => form.test(text))
    .registerFunction('isSemver(string, bool): bool', (text: string, sloppy: boolean) => form.test(sloppy ? normal(text) : text))
    .registerFunction('semver(string): Semver', (text: string) => read(text))
    .registerFunction('semver(string, bool): Semver', read)
    .registerFunction('Semver.major(): int', ({ parts }: Semver) => parts[0])
    .registerFunction('Semver.minor(): int', ({ parts }: Semver) => parts[1])
    .registerFunction('Semver.patch(): int', ({ parts }: Semver) => parts[2])
    .registerFunction('Semver.compareTo(Semver): int', compare)
    .registerFunction('Semver.isLessThan(Semver): bool', (a: Semver, b: Semver) => compare(a, b) < 0n)
    .registerFunction('Semver.isGreaterThan(Semver): bool', (a: Semver, b: Semver) => compare(a, b) > 0n)
}
