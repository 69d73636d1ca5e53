// Rules of the kinds that extend the API: definitions and admission policies, one broken object for each.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { validatingAdmissionPolicy } from '../admission-policy.ts'
import { mutatingAdmissionPolicyBinding } from '../admission-policy-binding.ts'
import { created } from '../check.fake.ts'
import { customResourceDefinition } from '../custom-resource-definition.ts'

const label =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"

it('definitions', () => {
  const names = { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' }
  const wrong = (version: object, conversion: object = { strategy: 'None' }) => {
    const versions = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } }, ...version }]
    const spec = { group: 'example.com', scope: 'Cluster', names, versions, conversion }
    return created(customResourceDefinition, { metadata: { name: 'things.example.com' }, spec }).wrong
  }
  const webhook = (clientConfig: object, versions: readonly string[] = ['v1']) =>
    wrong({}, { strategy: 'Webhook', webhook: { clientConfig, conversionReviewVersions: versions } })
  const service = { name: 's', namespace: 'n' }
  const warning = 'spec.versions[0].deprecationWarning: Invalid value'
  const at = 'spec.conversion.webhook'
  for (const [is, ...expected] of [
    [wrong({ deprecated: true, deprecationWarning: 'Use v2, für immer.' })],
    [wrong({ deprecationWarning: 'x' }), `${warning}: "x": can only be set for deprecated versions`],
    [wrong({ deprecated: true, deprecationWarning: '' }), `${warning}: "": must not be an empty string`],
    [
      wrong({ deprecated: true, deprecationWarning: 'a\tb' }),
      `${warning}: "a\\tb": must only contain printable UTF-8 characters; non-printable character found at index 1`,
    ],
    [wrong({ deprecated: true, deprecationWarning: 'x'.repeat(257) }), `${warning}: "${'x'.repeat(257)}": must be <= 256 characters long`],
    [webhook({ service: { ...service, path: '/convert' } })],
    [webhook({}), `${at}.clientConfig: Required value: exactly one of url or service is required`],
    [
      webhook({ service: { name: '', namespace: '' } }),
      `${at}.clientConfig.service.name: Required value: service name is required`,
      `${at}.clientConfig.service.namespace: Required value: service namespace is required`,
    ],
    [
      webhook({ service: { ...service, port: 70_000 } }),
      `${at}.clientConfig.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive`,
    ],
    [
      webhook({ service: { ...service, path: '/a//b' } }),
      `${at}.clientConfig.service.path: Invalid value: "/a//b": segment[1] may not be empty`,
    ],
    [
      webhook({ url: 'https://me@example.com/x?y#z' }),
      `${at}.clientConfig.url: Invalid value: "me": user information is not permitted in the URL`,
      `${at}.clientConfig.url: Invalid value: "z": fragments are not permitted in the URL`,
      `${at}.clientConfig.url: Invalid value: "y": query parameters are not permitted in the URL`,
    ],
    [webhook({ service }, []), `${at}.conversionReviewVersions: Required value`],
    [webhook({ service }, ['v1', 'v1']), `${at}.conversionReviewVersions[1]: Invalid value: "v1": duplicate version`],
    [webhook({ service }, ['1', 'v1']), `${at}.conversionReviewVersions[0]: Invalid value: "1": ${label}`],
    [webhook({ service }, ['v9']), `${at}.conversionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1`],
  ] as const)
    assert.deepEqual(is, expected)
})

it('admission policies', () => {
  const rule = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }
  const wrong = (more: object, rules: object = {}) =>
    created(validatingAdmissionPolicy, {
      spec: { matchConstraints: { resourceRules: [{ ...rule, ...rules }] }, validations: [{ expression: 'true' }], ...more },
    }).wrong
  const validation = (more: object) => wrong({ validations: [{ expression: 'true', ...more }] })
  const annotations = (...all: object[]) => wrong({ auditAnnotations: all })
  const names = 'spec.matchConstraints.resourceRules[0].resourceNames'
  const many = Array.from({ length: 21 }, (_, i) => ({ key: `k${i}`, valueExpression: '"x"' }))
  for (const [is, ...expected] of [
    [wrong({ paramKind: { apiVersion: 'example.com/v1', kind: 'Limit' } })],
    [wrong({ paramKind: { apiVersion: 'v1', kind: 'ConfigMap' } })],
    [
      wrong({ paramKind: { apiVersion: 'a/b/c', kind: 'Limit' } }),
      'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    ],
    [
      wrong({ paramKind: { apiVersion: 'example.com/', kind: 'Limit' } }),
      'spec.paramKind.apiVersion: Invalid value: "example.com/": version must be specified',
    ],
    [wrong({ paramKind: { apiVersion: '1', kind: 'Limit' } }), `spec.paramKind.apiVersion: Invalid value: "1": ${label}`],
    [
      wrong({ paramKind: { apiVersion: 'v1', kind: 'A B' } }),
      `spec.paramKind.kind: Invalid value: "A B": may have mixed case, but should otherwise match: ${label}`,
    ],
    [wrong({}, { resourceNames: ['a', 'b:c'] })],
    [wrong({}, { resourceNames: ['a/b'] }), `${names}[0]: Invalid value: "a/b": may not contain '/'`],
    [wrong({}, { resourceNames: ['a', 'a'] }), `${names}[1]: Duplicate value: "a"`],
    [
      wrong({ variables: [{ name: 'let', expression: '1' }] }),
      'spec.variables[0].name: Invalid value: "let": must be a valid CEL identifier',
    ],
    [
      wrong({ variables: [{ name: 'a-b', expression: '1' }] }),
      'spec.variables[0].name: Invalid value: "a-b": must be a valid CEL identifier',
    ],
    [validation({ message: 'x'.repeat(6_000) })],
    [validation({ message: ' ' }), 'spec.validations[0].message: Invalid value: " ": must be non-empty if specified'],
    [validation({ message: 'a\nb' }), 'spec.validations[0].message: Invalid value: "a\\nb": must not contain line breaks'],
    [validation({ messageExpression: ' ' }), 'spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified'],
    [annotations({ key: 'high', valueExpression: '"x"' })],
    [
      annotations({ key: 'a/b', valueExpression: '"x"' }),
      "spec.auditAnnotations[0].key: Invalid value: \"one/a/b\": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    ],
    [
      annotations({ key: 'k', valueExpression: `"${'x'.repeat(6_000)}"` }),
      'spec.auditAnnotations[0].valueExpression: Required value: must not exceed 5120 bytes in length',
    ],
    [annotations(...many), `spec.auditAnnotations: Invalid value: ${JSON.stringify(many)}: must not have more than 20 auditAnnotations`],
  ] as const)
    assert.deepEqual(is, expected)
})

it('bindings', () => {
  const wrong = (paramRef: object) =>
    created(mutatingAdmissionPolicyBinding, { spec: { policyName: 'p', paramRef: { parameterNotFoundAction: 'Deny', ...paramRef } } }).wrong
  assert.deepEqual(wrong({ name: 'system:any' }), [])
  assert.deepEqual(wrong({ name: 'a%' }), ['spec.paramRef.name: Invalid value: "a%": may not contain \'%\''])
  assert.deepEqual(wrong({ name: 'a', selector: {} }), [
    'spec.paramRef.name: Forbidden: name and selector are mutually exclusive',
    'spec.paramRef.selector: Forbidden: name and selector are mutually exclusive',
  ])
})
