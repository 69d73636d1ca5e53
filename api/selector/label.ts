// Label selectors: the text of queries (`app=web,tier in (a,b),!canary`) and the LabelSelector objects
// of the API, both as a list of requirements that must all hold.

import { StatusError } from '../errors.ts'
import type { LabelSelector } from '../types/meta-v1.gen.ts'

export type Operator = 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt'
export type Requirement = { readonly key: string; readonly operator: Operator; readonly values: readonly string[] }
export type Labels = Readonly<Record<string, string>>

/** No requirements: everything matches. `undefined` stands for a selector that matches nothing. */
export type Selector = readonly Requirement[]

/** Throws BadRequest. The empty text selects everything. */
export function parseLabels(text: string): Selector {
  return new Parser(text).parse()
}

/** Of an object's selector: absent selects nothing, empty everything. Throws BadRequest for an operator or values that make no sense. */
export function labelSelector(selector: LabelSelector | null | undefined): Selector | undefined {
  if (!selector) return undefined
  const equal = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => requirement(key, 'in', [value]))
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values }) => {
    const known = operators[operator]
    if (!known) throw new StatusError('BadRequest', `${JSON.stringify(operator)} is not a valid label selector operator`)
    return requirement(key, known, values ?? [])
  })
  return [...equal, ...expressions]
}

const operators: Record<string, Operator> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' }

export const matchesLabels = (selector: Selector | undefined, labels: Labels | undefined): boolean =>
  selector?.every((requirement) => holds(requirement, labels)) ?? false

function holds({ key, operator, values }: Requirement, labels: Labels | undefined): boolean {
  const value = labels && Object.hasOwn(labels, key) ? labels[key] : undefined
  switch (operator) {
    case 'in':
      return value !== undefined && has(values, value)
    case 'notin':
      return value === undefined || !has(values, value)
    case 'exists':
      return value !== undefined
    case '!':
      return value === undefined
    default: {
      if (value === undefined || !/^[+-]?\d+$/.test(value)) return false
      const difference = BigInt(value.replace('+', '')) - BigInt(values[0] ?? 0)
      return operator === 'gt' ? difference > 0n : difference < 0n
    }
  }
}

/** Sets of what selectors list at length: they are asked of many objects. */
const sets = new WeakMap<readonly string[], ReadonlySet<string>>()

function has(values: readonly string[], value: string): boolean {
  if (values.length < 16) return values.includes(value)
  const set = sets.get(values) ?? new Set(values)
  sets.set(values, set)
  return set.has(value)
}

/** Of a query's text. Throws BadRequest. */
export function labelMatcher(text: string): (labels: Labels | undefined) => boolean {
  const selector = parseLabels(text)
  return (labels) => matchesLabels(selector, labels)
}

/** Of an object's selector; an absent one matches nothing. Throws BadRequest. */
export function selectorMatcher(selector: LabelSelector | null | undefined): (labels: Labels | undefined) => boolean {
  const requirements = labelSelector(selector)
  return (labels) => matchesLabels(requirements, labels)
}

/** The text that parses to the same selector. */
export function formatLabels(selector: Selector): string {
  const spell = ({ key, operator, values }: Requirement): string => {
    const [first = ''] = values
    switch (operator) {
      case 'exists':
        return key
      case '!':
        return `!${key}`
      case 'gt':
        return `${key}>${first}`
      case 'lt':
        return `${key}<${first}`
      case 'in':
        return values.length === 1 ? `${key}=${first}` : `${key} in (${values.toSorted().join(',')})`
      default:
        return values.length === 1 ? `${key}!=${first}` : `${key} notin (${values.toSorted().join(',')})`
    }
  }
  return selector.map(spell).join(',')
}

const name = /^([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$/
const subdomain = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

export function requirement(key: string, operator: Operator, values: readonly string[]): Requirement {
  const [prefix, rest] = key.includes('/') ? [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)] : [undefined, key]
  if (!name.test(rest) || (prefix !== undefined && !subdomain.test(prefix))) {
    throw refuse(
      `key: Invalid value: ${JSON.stringify(key)}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
    )
  }
  if ((operator === 'in' || operator === 'notin') && !values.length) {
    throw refuse(`values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty`)
  }
  if ((operator === 'exists' || operator === '!') && values.length) {
    throw refuse(`values: Invalid value: ${JSON.stringify(values)}: values set must be empty for exists and does not exist`)
  }
  if ((operator === 'gt' || operator === 'lt') && !(values.length === 1 && /^[+-]?\d+$/.test(values[0] ?? ''))) {
    throw refuse(`values[0]: Invalid value: ${JSON.stringify(values[0])}: for 'Gt', 'Lt' operators, the value must be an integer`)
  }
  values.forEach((value, index) => {
    if (value !== '' && !name.test(value)) {
      throw refuse(
        `values[${index}][${key}]: Invalid value: ${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
      )
    }
  })
  return { key, operator, values }
}

const refuse = (why: string): StatusError => new StatusError('BadRequest', `unable to parse requirement: ${why}`)

const token = /\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)/y

class Parser {
  readonly #tokens: string[] = []
  #at = 0

  constructor(text: string) {
    token.lastIndex = 0
    for (let match = token.exec(text); match; match = token.exec(text)) this.#tokens.push(match[1] ?? '')
  }

  parse(): Selector {
    const selector: Requirement[] = []
    if (!this.#tokens.length) return selector
    do selector.push(this.#requirement())
    while (this.#accept(','))
    if (this.#peek() !== undefined) throw this.#unexpected("',' or 'end of string'")
    return selector
  }

  #requirement(): Requirement {
    if (this.#accept('!')) return requirement(this.#word('identifier'), '!', [])
    const key = this.#word('identifier')
    const operator = this.#peek()
    if (operator === undefined || operator === ',') return requirement(key, 'exists', [])
    this.#at++
    switch (operator) {
      case '=':
      case '==':
        return requirement(key, 'in', [this.#value()])
      case '!=':
        return requirement(key, 'notin', [this.#value()])
      case '>':
      case '<':
        return requirement(key, operator === '>' ? 'gt' : 'lt', [this.#value()])
      case 'in':
      case 'notin':
        return requirement(key, operator, this.#set())
      default:
        this.#at--
        throw this.#unexpected('in, notin, =, ==, !=, gt, lt')
    }
  }

  #set(): string[] {
    if (!this.#accept('(')) throw this.#unexpected("'('")
    const values = [this.#value()]
    while (this.#accept(',')) values.push(this.#value())
    if (!this.#accept(')')) throw this.#unexpected("',' or ')'")
    return [...new Set(values)]
  }

  /** May be empty, as in `a=` and `a in (,b)`. */
  #value(): string {
    const next = this.#peek()
    if (next === undefined || next === ',' || next === ')') return ''
    return this.#word('identifier')
  }

  #word(expected: string): string {
    const next = this.#peek()
    if (next === undefined || /^[=!<>(),]/.test(next)) throw this.#unexpected(expected)
    this.#at++
    return next
  }

  #peek(): string | undefined {
    return this.#tokens[this.#at]
  }

  #accept(text: string): boolean {
    if (this.#peek() !== text) return false
    this.#at++
    return true
  }

  #unexpected(expected: string): StatusError {
    return refuse(`found '${this.#peek() ?? ''}', expected: ${expected}`)
  }
}
