// The rules of a schema (x-kubernetes-validations): whether they make sense, and what an object breaks.
// Runs in the worker.

import { type Environment, Optional } from '@marcbachmann/cel-js'
import { same } from '#api/kinds/rules/faults.ts'
import { isEmbedded, itemsOf, type JsonSchema, propertyOf, structureOf, valuesOf } from '#api/schema/crd/json-schema.ts'
import type { Patterns } from '#api/schema/crd/pattern.ts'
import { isObject } from '#api/schema/decode.ts'
import type { FieldValueErrorReason, ValidationRule } from '#api/types/apiextensions-v1.gen.ts'
import { Budget, excess, perExpression } from './cost/budget.ts'
import { costOf } from './cost/estimate.ts'
import { extentOf, mostOf } from './cost/extent.ts'
import { compile, environment, type Program, reasonOf } from './environment.ts'
import { type Typed, Types } from './types.ts'

/** `path` is that of the schema, from its root: `.properties[spec]`. `field`: of its rule `index`; absent where all rules together are meant. */
export type RuleFault =
  | { path: string; field: 'rule' | 'messageExpression'; index: number; expression: string; message: string; isForbidden?: boolean }
  | { path: ''; field?: undefined; message: string }
/** `path` is that of the value: `spec.replicas`, '' for the whole. `type`: the value's, as the schema has it. */
export type Violation = { path: string; reason: FieldValueErrorReason; type: string; message: string }

type Compiled = { rule: ValidationRule; program: Program; message?: Program; transition: boolean }
/** A place in the schema that has rules. `count`: how often it may stand in an object; undefined where nothing limits it. */
type Node = { schema: JsonSchema; path: string; typed: Typed; isCorrelatable: boolean; count: number | undefined }

export class RuleSet {
  readonly #root: JsonSchema
  readonly #environment: Environment
  readonly #nodes = new Map<JsonSchema, Node>()
  readonly #compiled = new Map<JsonSchema, Compiled[]>()
  readonly #leading = new Map<JsonSchema, boolean>()

  constructor(schema: JsonSchema, { patterns }: { patterns: Patterns }) {
    this.#root = schema
    this.#environment = environment(patterns)
    const types = new Types(this.#environment)
    const visit = (schema: JsonSchema, path: string, isCorrelatable: boolean, count: number | undefined): void => {
      if (rulesOf(schema).length) this.#nodes.set(schema, { schema, path, typed: types.of(schema, path === ''), isCorrelatable, count })
      const keyed = schema.type !== 'array' || schema['x-kubernetes-list-type'] === 'map'
      const each = mostWithin(schema)
      const inside = count === undefined || each === undefined ? undefined : count * each
      for (const [step, inner] of structureOf(schema)) visit(inner, path + step, isCorrelatable && (step !== '.items' || keyed), inside)
    }
    visit(schema, '', true, 1)
  }

  check(): RuleFault[] {
    const faults: RuleFault[] = []
    const budget = new Budget<{ path: string; field: 'rule' | 'messageExpression'; index: number; expression: string }>()
    for (const node of this.#nodes.values()) {
      const extent = extentOf(node.schema, node.path === '' || isEmbedded(node.schema))
      for (const [index, rule] of rulesOf(node.schema).entries()) {
        const fault = (field: 'rule' | 'messageExpression', expression: string, message: string) =>
          faults.push({ path: node.path, field, index, expression, message })
        const spend = (field: 'rule' | 'messageExpression', expression: string, cost: number) => {
          const at = { path: node.path, field, index, expression }
          if (cost > perExpression)
            faults.push({ ...at, message: excess(`estimated ${field} cost`, cost, perExpression), isForbidden: true })
          budget.spend(at, cost)
        }
        try {
          const { program, message } = this.#compile(node, rule)
          if (extent) {
            spend('rule', rule.rule, costOf(program.ast, extent) * (node.count ?? mostOf(extent)))
            if (message) spend('messageExpression', rule.messageExpression ?? '', costOf(message.ast, extent))
          }
          if (!isBool(program.type)) fault('rule', rule.rule, 'cel expression must evaluate to a bool')
          if (program.uses.has('oldSelf') && !node.isCorrelatable) {
            fault('rule', rule.rule, `oldSelf cannot be used on the uncorrelatable portion of the schema within ${node.path.slice(1)}`)
          }
          if (message && message.type !== 'string' && message.type !== 'dyn') {
            fault('messageExpression', rule.messageExpression ?? '', 'messageExpression must evaluate to a string')
          }
        } catch (error) {
          const inMessage = error instanceof MessageError
          fault(
            inMessage ? 'messageExpression' : 'rule',
            (inMessage ? rule.messageExpression : rule.rule) ?? '',
            `compilation failed: ERROR: ${reasonOf(error)}`,
          )
        }
      }
    }
    const over = budget.over()
    if (!over) return faults
    return [
      ...faults,
      ...over.largest.map((at) => ({ ...at, message: contributed, isForbidden: true })),
      { path: '', message: over.message },
    ]
  }

  /** Compiles what evaluation needs; what does not compile is told there. */
  prepare(): void {
    for (const node of this.#nodes.values()) {
      try {
        this.#rules(node)
      } catch {
        // A stored definition may be from before a rule was refused.
      }
    }
  }

  evaluate(value: unknown, previous?: unknown): Violation[] {
    const violations: Violation[] = []
    this.#visit({ schema: this.#root, value, previous, path: '', isSame: previous !== undefined && same(value, previous) }, violations)
    return violations
  }

  #visit({ schema, value, previous, path, isSame }: Visit, violations: Violation[]): void {
    if (value === null || value === undefined || !this.#leads(schema)) return
    const node = this.#nodes.get(schema)
    if (node) for (const compiled of this.#rules(node)) this.#judge(node, compiled, { schema, value, previous, path, isSame }, violations)
    const inner = (schema: JsonSchema, value: unknown, previous: unknown, path: string) =>
      this.#visit({ schema, value, previous, path, isSame: isSame || (previous !== undefined && same(value, previous)) }, violations)
    if (Array.isArray(value)) {
      const items = itemsOf(schema)
      if (!items) return
      const before = byKey(schema, previous)
      for (const [i, item] of value.entries()) inner(items, item, before?.get(keyOf(schema, item)), `${path}[${i}]`)
    } else if (isObject(value)) {
      for (const [name, each] of Object.entries(value)) {
        const property = propertyOf(schema, name) ?? valuesOf(schema)
        if (property)
          inner(
            property,
            each,
            isObject(previous) && Object.hasOwn(previous, name) ? previous[name] : undefined,
            path ? `${path}.${name}` : name,
          )
      }
    }
  }

  #judge(
    node: Node,
    { rule, program, message, transition }: Compiled,
    { value, previous, path, isSame }: Visit,
    violations: Violation[],
  ): void {
    const old = previous === null ? undefined : previous
    if (transition && !rule.optionalOldSelf && old === undefined) return
    // What an update leaves as it was is not judged again, but by rules that speak of the update.
    if (isSame && !transition) return
    const oldSelf = old === undefined ? undefined : node.typed.convert(old)
    const variables = { self: node.typed.convert(value), oldSelf: rule.optionalOldSelf ? Optional.of(oldSelf) : oldSelf }
    const at = path + (rule.fieldPath ?? '')
    const violation = (text: string): Violation => ({
      path: at.replace(/^\./, ''),
      reason: rule.reason ?? 'FieldValueInvalid',
      type: node.schema.type ?? 'object',
      message: text,
    })
    try {
      if (program.run(variables) === true) return
    } catch (error) {
      violations.push({ ...violation(`${reasonOf(error)} evaluating rule: ${rule.message ?? rule.rule}`), reason: 'FieldValueInvalid' })
      return
    }
    violations.push(violation(told(message, variables) ?? rule.message ?? `failed rule: ${rule.rule.trim()}`))
  }

  /** Whether there are rules in `schema` or below. */
  #leads(schema: JsonSchema): boolean {
    const known = this.#leading.get(schema)
    if (known !== undefined) return known
    const leads = rulesOf(schema).length > 0 || structureOf(schema).some(([, inner]) => this.#leads(inner))
    this.#leading.set(schema, leads)
    return leads
  }

  #rules(node: Node): Compiled[] {
    const known = this.#compiled.get(node.schema)
    if (known) return known
    const compiled = rulesOf(node.schema).map((rule) => this.#compile(node, rule))
    this.#compiled.set(node.schema, compiled)
    return compiled
  }

  #compile({ typed }: Node, rule: ValidationRule): Compiled {
    const oldType = rule.optionalOldSelf ? `optional<${typed.type}>` : typed.type
    const scope = this.#environment.clone().registerVariable('self', typed.type).registerVariable('oldSelf', oldType)
    const program = compile(scope, rule.rule)
    const transition = program.uses.has('oldSelf')
    if (!rule.messageExpression) return { rule, program, transition }
    try {
      return { rule, program, transition, message: compile(scope, rule.messageExpression) }
    } catch (error) {
      throw new MessageError(reasonOf(error))
    }
  }
}

class MessageError extends Error {}

const contributed = 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'

/** How many values a value of `schema` has of each schema within; undefined where nothing limits them. */
function mostWithin(schema: JsonSchema): number | undefined {
  if (schema.type === 'array') return schema.maxItems === undefined ? undefined : Math.max(0, schema.maxItems)
  if (schema.type !== 'object' || schema.additionalProperties === undefined) return 1
  return schema.maxProperties === undefined ? undefined : Math.max(0, schema.maxProperties)
}

type Visit = { schema: JsonSchema; value: unknown; previous: unknown; path: string; isSame: boolean }

const rulesOf = (schema: JsonSchema): readonly ValidationRule[] => schema['x-kubernetes-validations'] ?? []
const isBool = (type: string) => type === 'bool' || type === 'dyn'

/** What the expression says; a message that fails, is empty or has lines gives way to the other. */
function told(message: Program | undefined, variables: Readonly<Record<string, unknown>>): string | undefined {
  if (!message) return undefined
  try {
    const text = message.run(variables)
    return typeof text === 'string' && text.trim() && !text.includes('\n') ? text.trim() : undefined
  } catch {
    return undefined
  }
}

function byKey(schema: JsonSchema, previous: unknown): Map<string, unknown> | undefined {
  if (schema['x-kubernetes-list-type'] !== 'map' || !Array.isArray(previous)) return undefined
  return new Map(previous.map((item: unknown) => [keyOf(schema, item), item]))
}

const keyOf = (schema: JsonSchema, item: unknown): string =>
  JSON.stringify((schema['x-kubernetes-list-map-keys'] ?? []).map((key) => (isObject(item) && Object.hasOwn(item, key) ? item[key] : null)))
