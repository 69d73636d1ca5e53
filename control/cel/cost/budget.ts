// What the rules of a definition may cost by estimate, each and all together, in the units and words of Kubernetes.

export const perExpression = 10_000_000
const perSchema = 100_000_000
/** So many of the dearest are named where all together cost too much, if they cost a hundredth of the limit. */
const mostNamed = 4

export class Budget<At> {
  #spent = 0
  #largest: { at: At; cost: number }[] = []

  spend(at: At, cost: number): void {
    this.#spent += cost
    if (cost < perSchema / 100) return
    this.#largest = [...this.#largest, { at, cost }].toSorted((a, b) => b.cost - a.cost).slice(0, mostNamed)
  }

  over(): { largest: At[]; message: string } | undefined {
    if (this.#spent <= perSchema) return undefined
    const message = excess('x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema', this.#spent, perSchema)
    return { largest: this.#largest.map(({ at }) => at), message }
  }
}

export function excess(what: string, cost: number, limit: number): string {
  const factor = cost / limit
  const said = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`
  return `${what} exceeds budget by factor of ${said} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`
}
