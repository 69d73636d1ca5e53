// Resource quantities: `quantity('1Gi').isGreaterThan(quantity('500Mi'))`.

import type { Environment } from '@marcbachmann/cel-js'
import { addQuantities, formatQuantity, type Quantity as Parsed, parseQuantity, QuantityError } from '#api/schema/quantity.ts'

const unit = 1_000_000_000n

class Quantity {
  readonly nano: bigint
  readonly family: Parsed['family']
  constructor({ nano, family }: Parsed) {
    this.nano = nano
    this.family = family
  }
  toString(): string {
    return formatQuantity(this)
  }
}

const isQuantity = (text: string): boolean => {
  try {
    parseQuantity(text)
    return true
  } catch (error) {
    if (error instanceof QuantityError) return false
    throw error
  }
}

const add = (a: Quantity, b: Parsed) => new Quantity(addQuantities(a, b))
const ofInt = (value: bigint): Parsed => ({ nano: value * unit, family: 'decimal' })
const negative = ({ nano, family }: Parsed): Parsed => ({ nano: -nano, family })

export function quantities(environment: Environment): void {
  environment
    .registerType('Quantity', Quantity)
    .registerOperator('Quantity == Quantity', (a: Quantity, b: Quantity) => a.nano === b.nano)
    .registerFunction('isQuantity(string): bool', isQuantity)
    .registerFunction('quantity(string): Quantity', (text: string) => new Quantity(parseQuantity(text)))
    .registerFunction('Quantity.sign(): int', ({ nano }: Quantity) => (nano < 0n ? -1n : nano > 0n ? 1n : 0n))
    .registerFunction('Quantity.isInteger(): bool', ({ nano }: Quantity) => nano % unit === 0n)
    .registerFunction('Quantity.asInteger(): int', ({ nano }: Quantity) => {
      if (nano % unit !== 0n) throw new Error('cannot convert value to integer')
      return nano / unit
    })
    .registerFunction('Quantity.asApproximateFloat(): double', ({ nano }: Quantity) => Number(nano) / 1e9)
    .registerFunction('Quantity.isGreaterThan(Quantity): bool', (a: Quantity, b: Quantity) => a.nano > b.nano)
    .registerFunction('Quantity.isLessThan(Quantity): bool', (a: Quantity, b: Quantity) => a.nano < b.nano)
    .registerFunction('Quantity.compareTo(Quantity): int', (a: Quantity, b: Quantity) =>
      a.nano < b.nano ? -1n : a.nano > b.nano ? 1n : 0n,
    )
    .registerFunction('Quantity.add(Quantity): Quantity', add)
    .registerFunction('Quantity.add(int): Quantity', (a: Quantity, b: bigint) => add(a, ofInt(b)))
    .registerFunction('Quantity.sub(Quantity): Quantity', (a: Quantity, b: Quantity) => add(a, negative(b)))
    .registerFunction('Quantity.sub(int): Quantity', (a: Quantity, b: bigint) => add(a, ofInt(-b)))
}
