// Whether some rules allow at least what others do: nobody may hand out rights that they do not have
// (component-helpers auth/rbac/validation).

import { StatusError } from '#api/errors.ts'
import type { PolicyRule } from '#api/types/rbac-v1.gen.ts'
import { nameMatches, pathMatches, resourceMatches } from './rbac.ts'

/** A rule of a few hundred bytes can have millions of parts. */
const mostParts = 10_000

/**
 * The parts of `rules` that `owned` does not allow; one group, resource, name or URL, and verb each.
 * Throws Invalid where they are too many to be looked at.
 */
export function uncovered(owned: readonly PolicyRule[], rules: readonly PolicyRule[]): PolicyRule[] {
  const rest = rules.filter((rule) => !owned.some((each) => coversWhole(each, rule)))
  const parts = rest.reduce((sum, rule) => sum + countOf(rule), 0)
  if (parts > mostParts) {
    const why = `they hold ${parts} combinations of verbs, groups, resources and names that no single rule of yours allows, more than ${mostParts}`
    throw new StatusError('Invalid', `the rules cannot be compared with your own: ${why}`)
  }
  return rest.flatMap((rule) => [...partsOf(rule)]).filter((part) => !owned.some((rule) => covers(rule, part)))
}

const countOf = ({ verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] }: PolicyRule): number =>
  verbs.length * (nonResourceURLs.length + apiGroups.length * resources.length * Math.max(resourceNames.length, 1))

/** Whether one rule allows all of another, list by list. */
function coversWhole(owned: PolicyRule, { verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): boolean {
  const named = owned.resourceNames?.length ? resourceNames?.length && holds(owned.resourceNames, resourceNames, '') : true
  return Boolean(
    named &&
      holds(owned.verbs, verbs, '*') &&
      holds(owned.apiGroups, apiGroups, '*') &&
      holds(owned.resources, resources, '*') &&
      holds(owned.nonResourceURLs, nonResourceURLs, '*'),
  )
}

function holds(owned: readonly string[] = [], asked: readonly string[] = [], all: string): boolean {
  const set = new Set(owned)
  return (all !== '' && set.has(all)) || asked.every((each) => set.has(each))
}

function* partsOf({ verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): Generator<PolicyRule> {
  for (const verb of verbs) {
    for (const url of nonResourceURLs ?? []) yield { verbs: [verb], nonResourceURLs: [url] }
    for (const group of apiGroups ?? []) {
      for (const resource of resources ?? []) {
        const part = { verbs: [verb], apiGroups: [group], resources: [resource] }
        if (!resourceNames?.length) yield part
        for (const name of resourceNames ?? []) yield { ...part, resourceNames: [name] }
      }
    }
  }
}

const includes = (list: readonly string[] | undefined, value: string | undefined): boolean =>
  value !== undefined && (list?.some((item) => item === '*' || item === value) ?? false)

function covers(rule: PolicyRule, part: PolicyRule): boolean {
  if (!includes(rule.verbs, part.verbs[0])) return false
  const [url] = part.nonResourceURLs ?? []
  if (url !== undefined) return pathMatches(rule.nonResourceURLs, url)
  const [resource = '', subresource = ''] = part.resources?.[0]?.split('/', 2) ?? []
  if (!includes(rule.apiGroups, part.apiGroups?.[0]) || !resourceMatches(rule.resources, resource, subresource)) return false
  const [name] = part.resourceNames ?? []
  return name === undefined ? !rule.resourceNames?.length : nameMatches(rule.resourceNames, name)
}

/** One rule for what differs in its verbs only, in order of first mention. */
export function compacted(parts: readonly PolicyRule[]): PolicyRule[] {
  const byRest = Map.groupBy(parts, (part) => JSON.stringify({ ...part, verbs: [] }))
  return [...byRest.values()].map((same) => ({ ...(same[0] as PolicyRule), verbs: [...new Set(same.flatMap(({ verbs }) => verbs))] }))
}

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`, as kubectl shows it. */
export function ruleText(rule: PolicyRule): string {
  const { apiGroups, resources, nonResourceURLs, resourceNames, verbs } = rule
  const parts = Object.entries({
    APIGroups: apiGroups,
    Resources: resources,
    NonResourceURLs: nonResourceURLs,
    ResourceNames: resourceNames,
    Verbs: verbs,
  })
  return `{${parts.flatMap(([name, list]) => (list?.length ? [`${name}:${listText(list)}`] : [])).join(', ')}}`
}

export const listText = (list: readonly string[]): string => `[${list.map((item) => JSON.stringify(item)).join(' ')}]`
