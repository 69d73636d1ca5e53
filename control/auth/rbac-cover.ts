// Whether some rules allow at least what others do: nobody may hand out rights that they do not have
// (component-helpers auth/rbac/validation).

import type { PolicyRule } from '#api/types/rbac-v1.gen.ts'
import { nameMatches, pathMatches, resourceMatches } from './rbac.ts'

/** The parts of `rules` that `owned` does not allow; one group, resource, name or URL, and verb each. */
export function uncovered(owned: readonly PolicyRule[], rules: readonly PolicyRule[]): PolicyRule[] {
  return rules.flatMap((rule) => [...partsOf(rule)]).filter((part) => !owned.some((rule) => covers(rule, part)))
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
  const byRest = new Map<string, PolicyRule>()
  for (const part of parts) {
    const key = JSON.stringify({ ...part, verbs: [] })
    const known = byRest.get(key)
    if (known) known.verbs.push(...part.verbs.filter((verb) => !known.verbs.includes(verb)))
    else byRest.set(key, { ...part, verbs: [...part.verbs] })
  }
  return [...byRest.values()]
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
