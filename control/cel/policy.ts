// The expressions of an admission policy or a webhook: whether they make sense, and what they say of a
// request (apiserver pkg/admission/plugin/policy/validating). Runs in the worker.

import type { Environment } from '@marcbachmann/cel-js'
import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import type { Patterns } from '#api/schema/crd/pattern.ts'
import type { JsonObject } from '#api/schema/decode.ts'
import type { AuditAnnotation, Validation } from '#api/types/admissionregistration-v1.gen.ts'
import { compiled, environment, type Program, reasonOf } from './environment.ts'
import type { Annotation, ExpressionFault, Expressions, Inputs, Outcome, Round } from './expressions.ts'
import { Authorizer, authorizers, Questions } from './library/authorizer.ts'
import { requestSchema } from './request-schema.ts'
import { dynamic, type Typed, Types } from './types.ts'
import { broken, Variables } from './variables.ts'

const longestMessage = 5 * 1024
const longestAnnotation = 10 * 1024

/** A type that stands for what nobody has described. */
const anything: Typed = { type: 'dyn', convert: dynamic }

type Scope = Readonly<Record<string, unknown>>

export class Policy {
  readonly #expressions: Expressions
  readonly #patterns: Patterns
  readonly #plain: Environment
  readonly #full: Environment
  readonly #variables: Variables
  readonly #request: Typed
  readonly #object: Typed
  readonly #programs = new Map<string, Program | Error>()

  constructor(expressions: Expressions, { patterns, about }: { patterns: Patterns; about?: JsonSchema | undefined }) {
    this.#expressions = expressions
    this.#patterns = patterns
    const base = environment(patterns)
    authorizers(base)
    const types = new Types(base, { plain: true })
    this.#request = types.of(requestSchema)
    this.#object = about ? types.of(about) : anything
    const declared = (scope: Environment) => {
      const { type } = this.#object
      scope.registerVariable('object', type).registerVariable('oldObject', type)
      scope.registerVariable('request', this.#request.type).registerVariable('authorizer', 'Authorizer')
      return expressions.policy?.hasParams ? scope.registerVariable('params', 'dyn') : scope
    }
    this.#plain = declared(base.clone())
    const full = () => declared(base.clone()).registerVariable('namespaceObject', 'dyn')
    this.#variables = new Variables(expressions.policy?.variables ?? [], full)
    this.#full = this.#variables.scope
  }

  /** `about`: the schema of the objects, where they are known to be of one kind. */
  check(about?: JsonSchema): ExpressionFault[] {
    if (about) return new Policy(this.#expressions, { patterns: this.#patterns, about }).check()
    const faults: ExpressionFault[] = [...this.#variables.faults()]
    const check = (field: string, source: string | undefined, scope: Environment, types: readonly string[]) => {
      if (!source) return
      const program = this.#program(source, scope)
      const fault = (message: string) => faults.push({ field, expression: source, compiles: true, message })
      if (program instanceof Error) faults.push(broken(field, source, program))
      else if (program.type !== 'dyn' && !types.includes(program.type))
        fault(types.length === 1 ? `must evaluate to ${types[0]}` : `must evaluate to one of [${types.join(' ')}]`)
    }
    for (const [i, { expression }] of this.#expressions.matchConditions.entries())
      check(`matchConditions[${i}].expression`, expression, this.#plain, ['bool'])
    const { validations = [], auditAnnotations = [] } = this.#expressions.policy ?? {}
    for (const [i, { expression, messageExpression }] of validations.entries()) {
      check(`validations[${i}].expression`, expression, this.#full, ['bool'])
      check(`validations[${i}].messageExpression`, messageExpression, this.#full, ['string'])
    }
    for (const [i, { valueExpression }] of auditAnnotations.entries())
      check(`auditAnnotations[${i}].valueExpression`, valueExpression, this.#full, ['string', 'null'])
    return faults
  }

  /** Compiles what decisions need. */
  prepare(): void {
    const { validations = [], auditAnnotations = [] } = this.#expressions.policy ?? {}
    for (const { expression } of this.#expressions.matchConditions) this.#program(expression, this.#plain)
    for (const { expression, messageExpression } of validations) {
      this.#program(expression, this.#full)
      if (messageExpression) this.#program(messageExpression, this.#full)
    }
    for (const { valueExpression } of auditAnnotations) this.#program(valueExpression, this.#full)
  }

  decide(inputs: Inputs): Outcome {
    const questions = new Questions(inputs.answers)
    const rounds = inputs.params.map((params) => this.#round(this.#scope(inputs, params, questions)))
    return questions.open.size > 0 ? { open: questions.open } : { rounds }
  }

  #scope({ object, oldObject, request, namespaceObject }: Inputs, params: JsonObject | null, questions: Questions): Scope {
    const { group = '', resource = '' } = (request.requestResource ?? {}) as { group?: string; resource?: string }
    const text = (value: unknown) => (typeof value === 'string' ? value : '')
    const { requestSubResource, namespace, name } = request
    const what = { group, resource, subresource: text(requestSubResource), namespace: text(namespace), name: text(name) }
    const convert = (typed: Typed, value: unknown) => (value === null ? null : typed.convert(value))
    return {
      object: convert(this.#object, object),
      oldObject: convert(this.#object, oldObject),
      request: this.#request.convert(request),
      namespaceObject: convert(anything, namespaceObject),
      params: convert(anything, params),
      authorizer: new Authorizer({ questions }, what),
    }
  }

  #round(scope: Scope): Round {
    let failure: string | undefined
    for (const { expression } of this.#expressions.matchConditions) {
      const result = this.#run(expression, this.#plain, scope)
      if ('error' in result) failure ??= result.error
      // One No is enough, whatever else went wrong.
      else if (result.value !== true) return { matches: false }
    }
    if (failure !== undefined) return { matches: true, error: failure }
    const { validations = [], auditAnnotations = [] } = this.#expressions.policy ?? {}
    const all = { ...scope, variables: this.#variables.over(scope) }
    return {
      matches: true,
      validations: validations.map((each) => this.#validation(each, all)),
      annotations: auditAnnotations.flatMap((each) => this.#annotation(each, all)),
    }
  }

  #validation({ expression, message, messageExpression }: Validation, scope: Scope) {
    const result = this.#run(expression, this.#full, scope)
    if ('error' in result) return { valid: false, message: result.error, isError: true } as const
    if (result.value === true) return { valid: true } as const
    const said = messageExpression ? this.#message(messageExpression, scope) : undefined
    return { valid: false, message: said ?? (message?.trim() || `failed expression: ${expression.trim()}`), isError: false } as const
  }

  /** Undefined where it says nothing that can stand in one line. */
  #message(expression: string, scope: Scope): string | undefined {
    const result = this.#run(expression, this.#full, scope)
    const text = 'value' in result && typeof result.value === 'string' ? result.value.trim() : ''
    return text && !text.includes('\n') && Buffer.byteLength(text) <= longestMessage ? text : undefined
  }

  #annotation({ key, valueExpression }: AuditAnnotation, scope: Scope): Annotation[] {
    const result = this.#run(valueExpression, this.#full, scope)
    if ('error' in result) return [{ key, error: result.error }]
    const { value } = result
    return typeof value === 'string' && value.trim() ? [{ key, value: value.trim().slice(0, longestAnnotation) }] : []
  }

  #run(source: string, scope: Environment, variables: Scope): { value: unknown } | { error: string } {
    const program = this.#program(source, scope)
    try {
      if (program instanceof Error) throw program
      return { value: program.run(variables) }
    } catch (error) {
      return { error: `expression '${source}' resulted in error: ${reasonOf(error)}` }
    }
  }

  #program(source: string, scope: Environment): Program | Error {
    const key = `${scope === this.#plain}${source}`
    const known = this.#programs.get(key)
    if (known) return known
    const made = compiled(scope, source)
    this.#programs.set(key, made)
    return made
  }
}
