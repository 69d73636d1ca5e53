// Which flow schema a request falls under: the first, by precedence, that names its user and what is asked.

import type { FlowSchema, PolicyRulesWithSubjects, ResourcePolicyRule, Subject } from '#api/types/flowcontrol-v1.gen.ts'
import type { Attempt, ResourceAttempt } from '../auth/authorizer.ts'
import type { User } from '../auth/user.ts'

type Matcher = (attempt: Attempt) => boolean

export type Flow = {
  readonly name: string
  readonly uid: string
  readonly level: string
  matches: Matcher
  /** Requests of one flow with the same distinguisher queue behind each other. */
  distinguisher(attempt: Attempt): string
}

/** In the order in which they are tried. */
export function flowsOf(schemas: Iterable<FlowSchema>): Flow[] {
  return [...schemas]
    .sort((a, b) => a.spec.matchingPrecedence - b.spec.matchingPrecedence || (a.metadata.name < b.metadata.name ? -1 : 1))
    .map(({ metadata: { name, uid }, spec }): Flow => {
      const rules = (spec.rules ?? []).map(ruleMatcher)
      const by = spec.distinguisherMethod?.type
      return {
        name,
        uid,
        level: spec.priorityLevelConfiguration.name,
        matches: (attempt) => rules.some((matches) => matches(attempt)),
        distinguisher: (attempt) => (by === 'ByUser' ? attempt.user.name : by === 'ByNamespace' ? namespaceOf(attempt) : ''),
      }
    })
}

const namespaceOf = (attempt: Attempt): string => (attempt.resource === undefined ? '' : (attempt.namespace ?? ''))

function ruleMatcher({ subjects, resourceRules = [], nonResourceRules = [] }: PolicyRulesWithSubjects): Matcher {
  const users = subjects.map(subjectMatcher)
  const resources = resourceRules.map(resourceMatcher)
  const paths = nonResourceRules.map(({ verbs, nonResourceURLs }) => {
    const isVerb = anyOf(verbs)
    return (verb: string, path: string) => isVerb(verb) && nonResourceURLs.some((pattern) => isPath(pattern, path))
  })
  return (attempt) => {
    if (!users.some((matches) => matches(attempt.user))) return false
    const { verb, path } = attempt
    return path === undefined ? resources.some((matches) => matches(attempt)) : paths.some((matches) => matches(verb, path))
  }
}

function subjectMatcher({ user, group, serviceAccount }: Subject): (user: User) => boolean {
  if (user) return ({ name }) => user.name === '*' || name === user.name
  if (group) return ({ groups }) => group.name === '*' || groups.includes(group.name)
  if (!serviceAccount) return () => false
  const prefix = `system:serviceaccount:${serviceAccount.namespace}:`
  return serviceAccount.name === '*' ? ({ name }) => name.startsWith(prefix) : ({ name }) => name === prefix + serviceAccount.name
}

function resourceMatcher(rule: ResourcePolicyRule): (attempt: ResourceAttempt) => boolean {
  const [isVerb, isGroup, isResource, isNamespace] = [rule.verbs, rule.apiGroups, rule.resources, rule.namespaces ?? []].map(anyOf) as [
    Test,
    Test,
    Test,
    Test,
  ]
  return ({ verb, group, resource, subresource, namespace }) =>
    isVerb(verb) &&
    isGroup(group) &&
    isResource(subresource ? `${resource}/${subresource}` : resource) &&
    (namespace === undefined ? (rule.clusterScope ?? false) : isNamespace(namespace))
}

type Test = (text: string) => boolean

const anyOf = (list: readonly string[]): Test => {
  if (list.includes('*')) return () => true
  return (text) => list.includes(text)
}

const isPath = (pattern: string, path: string): boolean =>
  pattern === '*' || pattern === path || (pattern.endsWith('/*') && path.startsWith(pattern.slice(0, -1)))
