// Questions about users: may they, what may they, who are they. Nothing is stored.

import { StatusError } from '#api/errors.ts'
import { isObject } from '#api/schema/decode.ts'
import type { Authenticator } from '#control/auth/authenticator.ts'
import { type Attempt, type Authorizer, allowedBy } from '#control/auth/authorizer.ts'
import { type Roles, rulesOf } from '#control/auth/rbac.ts'
import { masters, nodeOf, type User } from '#control/auth/user.ts'
import { viewOf } from '../http/accept.ts'
import { answerJson } from '../http/answer.ts'
import { objectIn, readBody } from '../http/body.ts'
import type { VirtualResource } from '../http/discovery.ts'
import type { Route } from '../http/stages/resources.ts'

const authorization = { group: 'authorization.k8s.io', version: 'v1', namespaced: false }
const authentication = { group: 'authentication.k8s.io', version: 'v1', namespaced: false }
const self = { kind: 'SelfSubjectReview', plural: 'selfsubjectreviews', singular: 'selfsubjectreview' }

export const reviewResources: readonly VirtualResource[] = [
  { ...authorization, kind: 'SelfSubjectAccessReview', plural: 'selfsubjectaccessreviews', singular: 'selfsubjectaccessreview' },
  { ...authorization, kind: 'SelfSubjectRulesReview', plural: 'selfsubjectrulesreviews', singular: 'selfsubjectrulesreview' },
  { ...authorization, kind: 'SubjectAccessReview', plural: 'subjectaccessreviews', singular: 'subjectaccessreview' },
  {
    ...authorization,
    kind: 'LocalSubjectAccessReview',
    plural: 'localsubjectaccessreviews',
    singular: 'localsubjectaccessreview',
    namespaced: true,
  },
  { ...authentication, kind: 'TokenReview', plural: 'tokenreviews', singular: 'tokenreview' },
  { ...authentication, ...self },
  // What `kubectl auth whoami` asks for up to 1.27.
  { ...authentication, version: 'v1beta1', ...self },
]

type Deps = { authorizers: readonly Authorizer[]; authenticator: Authenticator; roles: Roles }
type Json = Record<string, unknown>

export const reviewRoute =
  ({ authorizers, authenticator, roles }: Deps): Route =>
  async ({ info, request, user }) => {
    const review = reviewResources.find((r) => r.group === info.group && r.version === info.version && r.plural === info.plural)
    if (!review) return undefined
    if (info.verb !== 'create' || info.name !== undefined) {
      throw new StatusError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
    }
    const view = viewOf(request.headers.get('accept') ?? undefined, { whole: true })
    const body = objectIn(await readBody(request))
    const spec = isObject(body.spec) ? body.spec : {}
    const status = await answer(review.kind, spec, user)
    const object = {
      kind: review.kind,
      apiVersion: `${review.group}/${review.version}`,
      metadata: { creationTimestamp: null },
      spec,
      status,
    }
    return await answerJson(object, { view, acceptEncoding: undefined, warnings: [] }, 201)

    async function answer(kind: string, question: Json, asking: User): Promise<object> {
      switch (kind) {
        case 'SelfSubjectAccessReview':
          return await access(asking, question)
        case 'SubjectAccessReview':
        case 'LocalSubjectAccessReview':
          return await access({ name: textOf(question, 'user'), groups: textsOf(question.groups) }, question)
        case 'SelfSubjectRulesReview':
          return rules(roles, asking, textOf(question, 'namespace'))
        case 'SelfSubjectReview':
          return { userInfo: userInfo(asking) }
        default:
          return tokenStatus(question)
      }
    }

    async function access(who: User, question: Json): Promise<object> {
      const attempt = attemptOf(who, question)
      const reason = await allowedBy(authorizers, attempt)
      return reason === undefined ? { allowed: false } : { allowed: true, reason }
    }

    function tokenStatus(question: Json): object {
      const audiences = textsOf(question.audiences)
      const found = authenticator.userOfToken(textOf(question, 'token'), audiences.length > 0 ? audiences : undefined)
      if (!found) return { user: {}, error: 'invalid bearer token' }
      return { authenticated: true, user: userInfo(found.user), audiences: found.audiences }
    }
  }

const userInfo = (user: User) => ({
  username: user.name,
  ...(user.uid && { uid: user.uid }),
  groups: user.groups,
  ...(user.extra && { extra: user.extra }),
})

const textOf = (from: Json, name: string): string => {
  const value = from[name]
  return typeof value === 'string' ? value : ''
}

const textsOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : [])

function attemptOf(user: User, { resourceAttributes, nonResourceAttributes }: Json): Attempt {
  const text = textOf
  if (isObject(nonResourceAttributes)) return { user, verb: text(nonResourceAttributes, 'verb'), path: text(nonResourceAttributes, 'path') }
  if (!isObject(resourceAttributes)) {
    throw new StatusError(
      'Invalid',
      'spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified',
    )
  }
  const of = resourceAttributes
  return {
    user,
    verb: text(of, 'verb'),
    group: text(of, 'group'),
    version: text(of, 'version'),
    resource: text(of, 'resource'),
    subresource: text(of, 'subresource'),
    namespace: text(of, 'namespace') || undefined,
    name: text(of, 'name') || undefined,
  }
}

/** What roles allow; nodes are allowed more, by what their pods use. */
function rules(roles: Roles, user: User, namespace: string): object {
  const all = user.groups.includes(masters)
    ? [
        { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
        { verbs: ['*'], nonResourceURLs: ['*'] },
      ]
    : [...rulesOf(roles, user, namespace)]
  return {
    resourceRules: all.filter((rule) => !rule.nonResourceURLs?.length),
    nonResourceRules: all.flatMap(({ verbs, nonResourceURLs }) => (nonResourceURLs?.length ? [{ verbs, nonResourceURLs }] : [])),
    incomplete: nodeOf(user) !== undefined,
  }
}
