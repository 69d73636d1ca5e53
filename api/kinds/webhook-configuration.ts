import type { MutatingWebhook, ValidatingWebhook } from '../types/admissionregistration-v1.gen.ts'
import { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from './index.ts'
import { defaultRules, validateConditions, validateRules } from './rules/admission-rules.ts'
import { ageColumn, nameColumn } from './rules/columns.ts'
import { type Faults, repeats } from './rules/faults.ts'
import { validateFullyQualifiedName } from './rules/forms.ts'
import { isDns1035Label, isDns1123Subdomain } from './rules/names.ts'
import { validateClient } from './rules/webhook-client.ts'
import { validateLabelSelector } from './rules/workload.ts'
import type { Column, KindSpec } from './spec.ts'

const versions = ['v1', 'v1beta1']
const mostSeconds = 30

type Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration

const columns: Column<Configuration>[] = [
  nameColumn,
  { name: 'Webhooks', type: 'integer', cell: (c) => c.webhooks?.length ?? 0 },
  ageColumn,
]

function defaults({ webhooks }: Configuration): void {
  for (const hook of webhooks ?? []) {
    hook.failurePolicy ??= 'Fail'
    hook.matchPolicy ??= 'Equivalent'
    hook.namespaceSelector ??= {}
    hook.objectSelector ??= {}
    hook.timeoutSeconds ??= 10
    defaultRules(hook.rules)
    if (hook.clientConfig?.service) hook.clientConfig.service.port ??= 443
  }
}

function validate({ webhooks }: Configuration, faults: Faults): void {
  const names = new Set<string>()
  for (const [i, hook] of (webhooks ?? []).entries()) {
    const at = `webhooks[${i}]`
    validateHook(at, hook, faults)
    if (names.has(hook.name)) faults.duplicate(`${at}.name`, hook.name)
    names.add(hook.name)
  }
}

function validateHook(at: string, hook: MutatingWebhook | ValidatingWebhook, faults: Faults): void {
  validateFullyQualifiedName(`${at}.name`, hook.name, faults)
  validateRules(`${at}.rules`, hook.rules, faults)
  faults.oneOf(`${at}.failurePolicy`, hook.failurePolicy, ['Fail', 'Ignore'])
  faults.oneOf(`${at}.matchPolicy`, hook.matchPolicy, ['Equivalent', 'Exact'])
  if (hook.sideEffects === undefined) faults.required(`${at}.sideEffects`, 'must specify one of None, NoneOnDryRun')
  else faults.oneOf(`${at}.sideEffects`, hook.sideEffects, ['None', 'NoneOnDryRun'])
  const seconds = hook.timeoutSeconds
  if (seconds !== undefined && (seconds < 1 || seconds > mostSeconds))
    faults.invalid(`${at}.timeoutSeconds`, seconds, `the timeout value must be between 1 and ${mostSeconds} seconds`)
  if (hook.namespaceSelector) validateLabelSelector(`${at}.namespaceSelector`, hook.namespaceSelector, faults)
  if (hook.objectSelector) validateLabelSelector(`${at}.objectSelector`, hook.objectSelector, faults)
  validateClient(`${at}.clientConfig`, hook.clientConfig, faults)
  validateVersions(`${at}.admissionReviewVersions`, hook.admissionReviewVersions, faults)
  validateConditions(`${at}.matchConditions`, hook.matchConditions, faults)
}

function validateVersions(field: string, given: readonly string[] | undefined, faults: Faults): void {
  if (!given?.length) return faults.required(field, `must specify one of ${versions.join(', ')}`)
  const repeated = repeats()
  for (const [i, version] of given.entries()) {
    if (repeated(version)) faults.invalid(`${field}[${i}]`, version, 'duplicate version')
    faults.each(`${field}[${i}]`, version, isDns1035Label(version))
  }
  if (!given.some((v) => versions.includes(v))) faults.invalid(field, given, `must include at least one of ${versions.join(', ')}`)
}

const common = { generation: true, nameRule: isDns1123Subdomain, columns, validate } as const

export const validatingWebhookConfiguration: KindSpec<ValidatingWebhookConfiguration> = {
  ...common,
  kind: ValidatingWebhookConfiguration,
  singular: 'validatingwebhookconfiguration',
  defaults,
}

export const mutatingWebhookConfiguration: KindSpec<MutatingWebhookConfiguration> = {
  ...common,
  kind: MutatingWebhookConfiguration,
  singular: 'mutatingwebhookconfiguration',
  defaults(configuration) {
    defaults(configuration)
    for (const hook of configuration.webhooks ?? []) hook.reinvocationPolicy ??= 'Never'
  },
  validate(configuration, faults) {
    validate(configuration, faults)
    for (const [i, hook] of (configuration.webhooks ?? []).entries()) {
      faults.oneOf(`webhooks[${i}].reinvocationPolicy`, hook.reinvocationPolicy, ['IfNeeded', 'Never'])
    }
  },
}
