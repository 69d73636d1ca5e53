// The variables of a policy: `variables.name`, each evaluated when it is first used and once a request,
// and each able to use those before it.

import type { Environment } from '@marcbachmann/cel-js'
import type { Variable } from '#api/types/admissionregistration-v1.gen.ts'
import { compiled, type Program, reasonOf } from './environment.ts'
import type { ExpressionFault } from './expressions.ts'

type Values = (name: string) => unknown
type Holder = new (values: Values) => object
/** `scope`: where the variables before this one are known. */
type Declared = { variable: Variable; program: Program | Error; Before: Holder }

export class Variables {
  /** Where all of them are known. */
  readonly scope: Environment
  readonly #declared: Declared[] = []
  readonly #All: Holder

  /** `base` makes an environment of its own each time. */
  constructor(variables: readonly Variable[], base: () => Environment) {
    const fields: Record<string, string> = {}
    let { scope, Holder } = knowing(base(), fields)
    for (const variable of variables) {
      const program = compiled(scope, variable.expression)
      this.#declared.push({ variable, program, Before: Holder })
      fields[variable.name] = program instanceof Error ? 'dyn' : program.type
      ;({ scope, Holder } = knowing(base(), fields))
    }
    this.scope = scope
    this.#All = Holder
  }

  faults(): ExpressionFault[] {
    return this.#declared.flatMap(({ variable, program }, i) =>
      program instanceof Error ? [broken(`variables[${i}].expression`, variable.expression, program)] : [],
    )
  }

  /** What `variables` stands for, given what the others stand for. */
  over(scope: Readonly<Record<string, unknown>>): object {
    const known = new Map<string, { value: unknown } | { error: unknown }>()
    const values: Values = (name) => {
      const result = known.get(name) ?? this.#evaluate(name, scope, values)
      known.set(name, result)
      if ('error' in result) throw new Error(`composited variable ${JSON.stringify(name)} fails to evaluate: ${reasonOf(result.error)}`)
      return result.value
    }
    return new this.#All(values)
  }

  #evaluate(name: string, scope: Readonly<Record<string, unknown>>, values: Values): { value: unknown } | { error: unknown } {
    const found = this.#declared.find(({ variable }) => variable.name === name)
    try {
      if (!found) throw new Error(`undefined field '${name}'`)
      if (found.program instanceof Error) throw found.program
      return { value: found.program.run({ ...scope, variables: new found.Before(values) }) }
    } catch (error) {
      return { error }
    }
  }
}

/** An expression that does not compile. */
export const broken = (field: string, expression: string, error: Error): ExpressionFault => ({
  field,
  expression,
  compiles: false,
  message: `ERROR: ${reasonOf(error)}`,
})

function knowing(scope: Environment, fields: Readonly<Record<string, string>>): { scope: Environment; Holder: Holder } {
  const names = Object.keys(fields)
  class Holder {
    readonly values: Values
    constructor(values: Values) {
      this.values = values
    }
  }
  for (const name of names) {
    Object.defineProperty(Holder.prototype, name, {
      get(this: Holder) {
        return this.values(name)
      },
    })
  }
  scope.registerType('Variables', { ctor: Holder, fields: { ...fields } }).registerVariable('variables', 'Variables')
  return { scope, Holder }
}
