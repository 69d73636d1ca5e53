// Tells the authors of admission policies what does not fit the kinds that their policies name: such an
// expression is taken, as it may be meant for another kind, and would only fail when it is needed.

import { ConfigMap, CustomResourceDefinition, ValidatingAdmissionPolicy } from '#api/kinds/index.ts'
import { apiVersionOf, type Kind } from '#api/kinds/kind.ts'
import { builtinKinds } from '#api/kinds/registry.ts'
import { done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import { schemaOf } from '#api/schema/compile.ts'
import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import type { ExpressionWarning, ValidatingAdmissionPolicySpec } from '#api/types/admissionregistration-v1.gen.ts'
import { expressionsOf } from '#control/admission/policies/policy.ts'
import { described } from '#control/cel/described.ts'
import { Evaluator } from '#control/cel/evaluator.ts'
import type { ExpressionFault } from '#control/cel/expressions.ts'
import type { Deps } from './deps.ts'

/** A policy about more kinds is checked against the first of them. */
const mostKinds = 10

type Known = Pick<Kind, 'group' | 'version' | 'kind' | 'plural'> & { schema: () => JsonSchema | undefined }

export function policyStatus({ client, informers, clock, log }: Deps, signal: AbortSignal): Reconciler {
  const policies = informers.of(ValidatingAdmissionPolicy)
  const definitions = informers.of(CustomResourceDefinition)
  const evaluator = new Evaluator({ clock, log })
  signal.addEventListener('abort', () => void evaluator.close(), { once: true })
  return {
    name: 'validatingadmissionpolicy-status',
    watches: [
      of(ValidatingAdmissionPolicy),
      mapped(CustomResourceDefinition, ({ spec, metadata }, old) => {
        if (old?.metadata.generation === metadata.generation) return []
        return [...policies.list()].filter((policy) => names(policy, spec.group)).map((policy) => policy.metadata.name)
      }),
    ],
    async reconcile(name) {
      const policy = policies.get(name)
      if (!policy || policy.metadata.deletionTimestamp) return done
      const { generation = 0 } = policy.metadata
      const kinds = kindsNamed(policy.spec, [...builtin, ...[...definitions.list()].flatMap(kindsOf)])
      // Custom kinds come and go without the policy.
      if (policy.status?.observedGeneration === generation && kinds.every((kind) => builtin.includes(kind))) return done
      const expressionWarnings = await warningsFor(policy, kinds)
      const typeChecking = expressionWarnings.length > 0 ? { expressionWarnings } : {}
      const status = { ...policy.status, observedGeneration: generation, typeChecking }
      if (JSON.stringify(status) !== JSON.stringify(policy.status))
        await client.update(ValidatingAdmissionPolicy, { ...policy, status }, { subresource: 'status', signal })
      return done
    },
  }

  async function warningsFor({ spec }: ValidatingAdmissionPolicy, kinds: readonly Known[]): Promise<ExpressionWarning[]> {
    const expressions = expressionsOf(spec)
    const found = new Map<string, string[]>()
    for (const kind of kinds) {
      for (const { field, message } of await faultsOf(kind)) {
        const at = `spec.${field}`
        found.set(at, [...(found.get(at) ?? []), `${apiVersionOf(kind)}, Kind=${kind.kind}: ${message}`])
      }
    }
    return [...found].map(([fieldRef, lines]) => ({ fieldRef, warning: lines.join('\n') }))

    async function faultsOf({ schema }: Known): Promise<ExpressionFault[]> {
      const about = schema()
      if (!about) return []
      return await evaluator.checkExpressions(expressions, about)
    }
  }
}

const builtin: readonly Known[] = builtinKinds.map(({ kind }) => ({
  ...kind,
  schema: () => {
    const schema = schemaOf(kind)
    return schema && described(schema)
  },
}))

const kindsOf = ({ spec: { group, names: named, versions } }: CustomResourceDefinition): Known[] =>
  versions
    .filter(({ served }) => served)
    .map(({ name, schema }) => ({
      group,
      version: name,
      kind: named.kind,
      plural: named.plural,
      schema: () => schema?.openAPIV3Schema && whole(schema.openAPIV3Schema as JsonSchema),
    }))

/** With what every object has. */
function whole(schema: JsonSchema): JsonSchema {
  const example = schemaOf(ConfigMap)
  const { apiVersion, kind, metadata } = (example && described(example).properties) ?? {}
  return {
    ...schema,
    properties: { ...schema.properties, ...(apiVersion && { apiVersion }), ...(kind && { kind }), ...(metadata && { metadata }) },
  }
}

const names = ({ spec }: ValidatingAdmissionPolicy, group: string): boolean =>
  spec.matchConstraints?.resourceRules?.some(({ apiGroups }) => apiGroups?.includes(group)) ?? false

/** Those that rules name one by one; a star says nothing of what its author has in mind. */
function kindsNamed({ matchConstraints }: ValidatingAdmissionPolicySpec, known: readonly Known[]): Known[] {
  const rules = matchConstraints?.resourceRules ?? []
  const has = (list: readonly string[] | undefined, value: string) => list?.includes(value) ?? false
  return known
    .filter(({ group, version, plural }) =>
      rules.some((rule) => has(rule.apiGroups, group) && has(rule.apiVersions, version) && has(rule.resources, plural)),
    )
    .slice(0, mostKinds)
}
