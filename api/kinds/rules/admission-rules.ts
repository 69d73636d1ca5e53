// Which requests a webhook or an admission policy is about, and with which conditions: defaults and
// rules (pkg/apis/admissionregistration/validation). Expressions are only checked for being there.

import type { MatchCondition, MatchResources, ParamRef, RuleWithOperations } from '../../types/admissionregistration-v1.gen.ts'
import { type Faults, repeats } from './faults.ts'
import { isPathSegment } from './forms.ts'
import { isQualifiedName } from './names.ts'
import { validateLabelSelector } from './workload.ts'

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const scopes = ['*', 'Cluster', 'Namespaced']
const mostConditions = 64

export function defaultRules(rules: RuleWithOperations[] | undefined): void {
  for (const rule of rules ?? []) rule.scope ??= '*'
}

export function defaultMatch(match: MatchResources | undefined): void {
  if (!match) return
  match.matchPolicy ??= 'Equivalent'
  match.namespaceSelector ??= {}
  match.objectSelector ??= {}
  defaultRules(match.resourceRules)
  defaultRules(match.excludeResourceRules)
}

export function validateRules(at: string, rules: readonly RuleWithOperations[] | undefined, faults: Faults): void {
  for (const [i, rule] of (rules ?? []).entries()) {
    const here = `${at}[${i}]`
    alone(`${here}.operations`, rule.operations, "if '*' is present, must not specify other operations", faults)
    for (const [j, operation] of (rule.operations ?? []).entries()) faults.oneOf(`${here}.operations[${j}]`, operation, operations)
    alone(`${here}.apiGroups`, rule.apiGroups, "if '*' is present, must not specify other API groups", faults)
    alone(`${here}.apiVersions`, rule.apiVersions, "if '*' is present, must not specify other API versions", faults)
    for (const [j, version] of (rule.apiVersions ?? []).entries()) if (version === '') faults.required(`${here}.apiVersions[${j}]`)
    validateResources(`${here}.resources`, rule.resources, faults)
    if (rule.scope !== undefined) faults.oneOf(`${here}.scope`, rule.scope, scopes)
  }
}

function alone(field: string, values: readonly string[] | undefined, wrong: string, faults: Faults): void {
  if (!values?.length) faults.required(field)
  else if (values.length > 1 && values.includes('*')) faults.invalid(field, values, wrong)
}

function validateResources(field: string, resources: readonly string[] = [], faults: Faults): void {
  if (resources.length === 0) faults.required(field)
  const whole = new Set(resources.filter((r) => r.endsWith('/*')).map((r) => r.slice(0, -2)))
  const anywhere = new Set(resources.filter((r) => r.startsWith('*/')).map((r) => r.slice(2)))
  for (const [i, resource] of resources.entries()) {
    const at = `${field}[${i}]`
    const [name = '', sub] = resource.split('/', 2)
    if (resource === '') faults.required(at)
    else if (resource === '*/*') {
      if (resources.length > 1) faults.invalid(field, resources, "if '*/*' is present, must not specify other resources")
    } else if (sub !== undefined && sub !== '*' && whole.has(name))
      faults.invalid(at, resource, `if '${name}/*' is present, must not specify ${resource}`)
    else if (sub !== undefined && name !== '*' && anywhere.has(sub))
      faults.invalid(at, resource, `if '*/${sub}' is present, must not specify ${resource}`)
  }
  if (resources.includes('*') && resources.some((r) => r !== '*' && !r.includes('/')))
    faults.invalid(field, resources, "if '*' is present, must not specify other resources without subresources")
}

export function validateMatch(at: string, match: MatchResources, faults: Faults): void {
  if (match.matchPolicy) faults.oneOf(`${at}.matchPolicy`, match.matchPolicy, ['Equivalent', 'Exact'])
  if (match.namespaceSelector) validateLabelSelector(`${at}.namespaceSelector`, match.namespaceSelector, faults)
  if (match.objectSelector) validateLabelSelector(`${at}.objectSelector`, match.objectSelector, faults)
  for (const field of ['resourceRules', 'excludeResourceRules'] as const) {
    for (const [i, { resourceNames = [] }] of (match[field] ?? []).entries()) {
      const repeated = repeats()
      for (const [j, name] of resourceNames.entries()) {
        faults.each(`${at}.${field}[${i}].resourceNames[${j}]`, name, isPathSegment(name))
        if (repeated(name)) faults.duplicate(`${at}.${field}[${i}].resourceNames[${j}]`, name)
      }
    }
    validateRules(`${at}.${field}`, match[field], faults)
  }
}

export function validateConditions(at: string, conditions: readonly MatchCondition[] | undefined, faults: Faults): void {
  const names = new Set<string>()
  if ((conditions?.length ?? 0) > mostConditions) faults.tooMany(at, conditions?.length ?? 0, mostConditions)
  for (const [i, { name, expression }] of (conditions ?? []).entries()) {
    if (!expression?.trim()) faults.required(`${at}[${i}].expression`)
    if (!name) faults.required(`${at}[${i}].name`)
    else {
      faults.each(`${at}[${i}].name`, name, isQualifiedName(name))
      if (names.has(name)) faults.duplicate(`${at}[${i}].name`, name)
      names.add(name)
    }
  }
}

export function validateParamRef(at: string, ref: ParamRef | undefined, faults: Faults): void {
  if (!ref) return
  if (ref.name) {
    faults.each(`${at}.name`, ref.name, isPathSegment(ref.name))
    if (ref.selector)
      for (const field of ['name', 'selector']) faults.forbidden(`${at}.${field}`, 'name and selector are mutually exclusive')
  } else if (ref.selector) validateLabelSelector(`${at}.selector`, ref.selector, faults)
  else faults.required(at, 'one of name or selector must be specified')
  if (!ref.parameterNotFoundAction) faults.required(`${at}.parameterNotFoundAction`)
  else faults.oneOf(`${at}.parameterNotFoundAction`, ref.parameterNotFoundAction, ['Allow', 'Deny'])
}
