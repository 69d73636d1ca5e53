// Which requests a webhook or a policy is about: rules, and selectors of namespaces and objects
// (apiserver pkg/admission/plugin/webhook/predicates, policy/matching).

import { StatusError } from '#api/errors.ts'
import { Namespace } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { isObject, type JsonObject } from '#api/schema/decode.ts'
import { type Labels, labelSelector, matchesLabels, type Selector } from '#api/selector/label.ts'
import type { MatchPolicyType, NamedRuleWithOperations } from '#api/types/admissionregistration-v1.gen.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'
import { isKind, type Review } from './admission.ts'
import type { Find } from './find.ts'
import type { ServedVersion, ServedVersions } from './served-version.ts'

export type Criteria = {
  /** Undefined: about everything. */
  rules: readonly NamedRuleWithOperations[] | undefined
  except: readonly NamedRuleWithOperations[]
  /** Only in the very version that a rule names. */
  exact: boolean
  namespaces: Selector
  objects: Selector
}

type Given = {
  rules?: readonly NamedRuleWithOperations[] | undefined
  except?: readonly NamedRuleWithOperations[] | undefined
  matchPolicy?: MatchPolicyType | undefined
  namespaceSelector?: LabelSelector | undefined
  objectSelector?: LabelSelector | undefined
}

export const criteriaOf = ({ rules, except = [], matchPolicy, namespaceSelector, objectSelector }: Given): Criteria => ({
  rules,
  except,
  exact: matchPolicy === 'Exact',
  namespaces: labelSelector(namespaceSelector ?? {}) ?? [],
  objects: labelSelector(objectSelector ?? {}) ?? [],
})

export const registration = 'admissionregistration.k8s.io'

/** What decides about requests must always be open to repair. */
export const isExempt = ({ spec, settled }: Review): boolean => settled === true || spec.kind.group === registration

/** The version of the object that it is about; undefined: it is not about this request, going by the rules. */
export function servedVersionFor(
  { rules, except, exact }: Criteria,
  review: Review,
  servedVersions: ServedVersions,
): ServedVersion | undefined {
  const all = servedVersions(review.kind)
  const [own] = all
  const asked = exact ? all.slice(0, 1) : all
  if (asked.some(({ kind }) => except.some((rule) => isAbout(rule, review, kind)))) return undefined
  if (!rules) return own
  if (own && rules.some((rule) => isAbout(rule, review, own.kind))) return own
  for (const rule of rules) {
    const found = asked.find(({ kind }) => isAbout(rule, review, kind))
    if (found) return found
  }
  return undefined
}

const has = (list: readonly string[] | undefined, value: string): boolean => list?.some((each) => each === '*' || each === value) ?? false

function isAbout(rule: NamedRuleWithOperations, review: Review, { group, version, plural }: Kind): boolean {
  const { operations, apiGroups, apiVersions, resources, scope, resourceNames } = rule
  if (!has(operations, review.operation) || !has(apiGroups, group) || !has(apiVersions, version)) return false
  if (resourceNames?.length && !resourceNames.includes(review.name)) return false
  const named = resources?.some((resource) => {
    const [name = '', sub = ''] = resource.split('/', 2)
    return (name === '*' || name === plural) && (sub === '*' || sub === review.subresource)
  })
  return (named ?? false) && (!scope || scope === '*' || (scope === 'Namespaced') === (review.namespace !== undefined))
}

/** Whether the selectors take the request in. Throws NotFound for a namespace that is not there. */
export async function selects({ namespaces, objects }: Criteria, review: Review, find: Find): Promise<boolean> {
  return (
    (objects.length === 0 || labelled(review).some((each) => matchesLabels(objects, each))) && (await inNamespace(namespaces, review, find))
  )
}

/** The labels of what is there and of what is to be; objects that cannot have any are left out. */
function labelled({ object, previous, form }: Review): (Labels | undefined)[] {
  const shown = (each: KubeObject): JsonObject => (form ? form.show(each) : each)
  return [object, previous].flatMap((each) => {
    const metadata = each && shown(each).metadata
    return isObject(metadata) ? [metadata.labels as Labels | undefined] : []
  })
}

async function inNamespace(selector: Selector, review: Review, find: Find): Promise<boolean> {
  if (selector.length === 0) return true
  if (isKind(review, '', 'Namespace')) return matchesLabels(selector, review.object.metadata.labels)
  if (review.namespace === undefined) return true
  return matchesLabels(selector, (await namespaceOf(review.namespace, find)).metadata.labels)
}

export async function namespaceOf(name: string, find: Find): Promise<Namespace> {
  const found = await find(Namespace, { name })
  if (!found) throw new StatusError('NotFound', `namespaces ${JSON.stringify(name)} not found`, { name, kind: 'namespaces' })
  return found
}
