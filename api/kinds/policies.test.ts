// Kinds by which people say what others may do: rbac, certificates, admission, flow control, classes, devices.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mutatingAdmissionPolicy, validatingAdmissionPolicy } from './admission-policy.ts'
import { validatingAdmissionPolicyBinding } from './admission-policy-binding.ts'
import { certificateSigningRequest } from './certificate-signing-request.ts'
import { created, row, updated } from './check.fake.ts'
import { clusterRole } from './cluster-role.ts'
import { clusterRoleBinding } from './cluster-role-binding.ts'
import { flowSchema } from './flow-schema.ts'
import { priorityClass } from './priority-class.ts'
import { priorityLevelConfiguration } from './priority-level.ts'
import { resourceClaim } from './resource-claim.ts'
import { resourceSlice } from './resource-slice.ts'
import { role } from './role.ts'
import { roleBinding } from './role-binding.ts'
import { runtimeClass } from './runtime-class.ts'
import { mutatingWebhookConfiguration, validatingWebhookConfiguration } from './webhook-configuration.ts'

describe('rbac', () => {
  const roleRef = { kind: 'Role', name: 'reader', apiGroup: 'rbac.authorization.k8s.io' }

  it('roles', () => {
    assert.deepEqual(
      created(role, { metadata: { name: 'system:a:B' }, rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }] }).wrong,
      [],
    )
    assert.deepEqual(
      created(role, {
        rules: [
          { verbs: [], apiGroups: [''], resources: [] },
          { verbs: ['get'], nonResourceURLs: ['/x'] },
        ],
      }).wrong,
      [
        'rules[0].verbs: Required value: verbs must contain at least one value',
        'rules[0].resources: Required value: resource rules must supply at least one resource',
        'rules[1].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
      ],
    )
    assert.deepEqual(created(clusterRole, { rules: [], aggregationRule: {} }).wrong, [
      'aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil',
    ])
    assert.equal(row(role, created(role, { rules: [] }).object), 'NAME=one | CREATED AT=2024-01-01T00:00:00Z')
  })

  it('bindings', () => {
    const subjects = [
      { kind: 'User', name: 'ann' },
      { kind: 'ServiceAccount', name: 'robot', namespace: 'test' },
    ]
    const { object, wrong } = created(roleBinding, { subjects, roleRef: { kind: 'Role', name: 'reader' } })
    assert.deepEqual([object.roleRef.apiGroup, object.subjects?.[0]?.apiGroup, wrong], [roleRef.apiGroup, roleRef.apiGroup, []])
    assert.equal(row(roleBinding, object), 'NAME=one | ROLE=Role/reader | AGE=60s | +USERS=ann | +GROUPS= | +SERVICEACCOUNTS=test/robot')
    assert.deepEqual(
      updated(roleBinding, object, (b) => void (b.roleRef = { ...b.roleRef, name: 'writer' })),
      ['roleRef: Invalid value: {"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"writer"}: cannot change roleRef'],
    )
    assert.deepEqual(
      created(clusterRoleBinding, {
        subjects: [
          { kind: 'ServiceAccount', name: 'robot' },
          { kind: 'Robot', name: 'x' },
        ],
        roleRef,
      }).wrong,
      [
        'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        'subjects[0].namespace: Required value',
        'subjects[1].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
      ],
    )
  })
})

describe('classes', () => {
  it('of priority', () => {
    const { object } = created(priorityClass, { value: 10, globalDefault: true })
    assert.equal(row(priorityClass, object), 'NAME=one | VALUE=10 | GLOBAL-DEFAULT=true | AGE=60s | +PREEMPTIONPOLICY=PreemptLowerPriority')
    assert.deepEqual(created(priorityClass, { value: 1_000_000_001 }).wrong, [
      'value: Forbidden: maximum allowed value of a user defined priority is 1000000000',
    ])
    assert.deepEqual(created(priorityClass, { metadata: { name: 'system-mine' }, value: 1 }).wrong, [
      'metadata.name: Forbidden: priority class names with \'system-\' prefix are reserved for system use only. error: the name "system-mine" does not match any known system priority class',
    ])
    assert.deepEqual(created(priorityClass, { metadata: { name: 'system-node-critical' }, value: 2_000_001_000 }).wrong, [])
    assert.deepEqual(
      updated(priorityClass, object, (c) => void (c.value = 11)),
      ['value: Forbidden: may not be changed in an update.'],
    )
  })

  it('of runtimes', () => {
    const { object } = created(runtimeClass, { handler: 'runsc' })
    assert.equal(row(runtimeClass, object), 'NAME=one | HANDLER=runsc | AGE=60s')
    assert.match(created(runtimeClass, {}).wrong.join(), /^handler: Invalid value: "": a lowercase RFC 1123 label/)
    assert.deepEqual(
      updated(runtimeClass, object, (c) => void (c.handler = 'kata')),
      ['handler: Invalid value: "kata": field is immutable'],
    )
  })
})

describe('certificate signing requests', () => {
  const der = Buffer.from('3003020100', 'hex').toString('base64')
  const pem = (body: string) =>
    Buffer.from(`-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`).toString('base64')
  const spec = { request: pem(der), signerName: 'example.com/signer', usages: ['client auth'] }
  const wrong = (changes: object) => created(certificateSigningRequest, { spec: { ...spec, ...changes } }).wrong

  it('rules', () => {
    assert.deepEqual(wrong({}), [])
    assert.deepEqual(wrong({ request: Buffer.from('x').toString('base64') }), [
      'spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST',
    ])
    assert.equal(wrong({ request: pem(Buffer.from('30ff').toString('base64')) }).length, 1)
    assert.deepEqual(wrong({ signerName: 'signer' }), [
      'spec.signerName: Invalid value: "signer": must be a fully qualified domain and path of the form \'example.com/signer-name\'',
    ])
    assert.deepEqual(wrong({ signerName: 'local/signer' }), [
      'spec.signerName: Invalid value: "local/signer": should be a domain with at least two segments separated by dots',
    ])
    assert.deepEqual(wrong({ usages: [] }), ['spec.usages: Required value'])
    assert.deepEqual(wrong({ expirationSeconds: 60 }), [
      'spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 600 seconds (10 minutes)',
    ])
  })

  it('columns', () => {
    const { object } = created(certificateSigningRequest, { spec: { ...spec, username: 'ann', expirationSeconds: 3600 } })
    const text = 'NAME=one | AGE=60s | SIGNERNAME=example.com/signer | REQUESTOR=ann | REQUESTEDDURATION=60m | CONDITION='
    assert.equal(row(certificateSigningRequest, object), `${text}Pending`)
    const status = { conditions: [{ type: 'Approved' as const, status: 'True' as const }], certificate: 'eA==' }
    assert.equal(row(certificateSigningRequest, { ...object, status }), `${text}Approved,Issued`)
  })
})

describe('admission', () => {
  const rule = { apiGroups: ['apps'], apiVersions: ['v1'], operations: ['CREATE'], resources: ['deployments'] }
  const hook = {
    name: 'a.example.com',
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    clientConfig: { url: 'https://example.com/a' },
    rules: [rule],
  }

  it('webhooks', () => {
    const { object, wrong } = created(mutatingWebhookConfiguration, {
      webhooks: [{ ...hook, clientConfig: { service: { name: 's', namespace: 'n' } } }],
    })
    assert.deepEqual(wrong, [])
    const { clientConfig, rules, ...rest } = object.webhooks?.[0] ?? assert.fail()
    assert.deepEqual([clientConfig.service?.port, rules?.[0]?.scope], [443, '*'])
    assert.deepEqual(rest, {
      name: 'a.example.com',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      failurePolicy: 'Fail',
      matchPolicy: 'Equivalent',
      namespaceSelector: {},
      objectSelector: {},
      timeoutSeconds: 10,
      reinvocationPolicy: 'Never',
    })
    assert.equal(row(mutatingWebhookConfiguration, object), 'NAME=one | WEBHOOKS=1 | AGE=60s')
    const cases: [object, string][] = [
      [{ name: 'short' }, 'webhooks[0].name: Invalid value: "short": should be a domain with at least three segments separated by dots'],
      [{ sideEffects: undefined }, 'webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun'],
      [{ timeoutSeconds: 31 }, 'webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds'],
      [
        { admissionReviewVersions: ['v2'] },
        'webhooks[0].admissionReviewVersions: Invalid value: ["v2"]: must include at least one of v1, v1beta1',
      ],
      [{ clientConfig: {} }, 'webhooks[0].clientConfig: Required value: exactly one of url or service is required'],
      [
        { clientConfig: { url: 'http://example.com' } },
        'webhooks[0].clientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired format: https://host[/path]',
      ],
      [
        { rules: [{ ...rule, operations: ['*', 'CREATE'] }] },
        'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
      ],
      [
        { rules: [{ ...rule, resources: ['pods/*', 'pods/log'] }] },
        'webhooks[0].rules[0].resources[1]: Invalid value: "pods/log": if \'pods/*\' is present, must not specify pods/log',
      ],
    ]
    for (const [changes, expected] of cases) {
      assert.deepEqual(created(validatingWebhookConfiguration, { webhooks: [{ ...hook, ...changes }] }).wrong, [expected])
    }
  })

  it('policies', () => {
    const spec = { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: 'true' }] }
    const { object, wrong } = created(validatingAdmissionPolicy, { spec })
    assert.deepEqual([wrong, object.spec.failurePolicy, object.spec.matchConstraints?.matchPolicy], [[], 'Fail', 'Equivalent'])
    assert.equal(row(validatingAdmissionPolicy, object), 'NAME=one | VALIDATIONS=1 | PARAMKIND=<unset> | AGE=60s')
    assert.deepEqual(created(validatingAdmissionPolicy, { spec: { validations: [{ expression: ' ' }] } }).wrong, [
      'spec.matchConstraints: Required value',
      'spec.validations[0].expression: Required value: expression is not specified',
    ])
    const mutations = [{ patchType: 'JSONPatch', applyConfiguration: { expression: 'x' } }]
    assert.deepEqual(created(mutatingAdmissionPolicy, { spec: { matchConstraints: spec.matchConstraints, mutations } }).wrong, [
      'spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch',
    ])
    const binding = { policyName: 'named', validationActions: ['Deny', 'Warn'], paramRef: { name: 'p', namespace: 'n' } }
    const bound = created(validatingAdmissionPolicyBinding, { spec: binding })
    assert.equal(row(validatingAdmissionPolicyBinding, bound.object), 'NAME=one | POLICYNAME=named | PARAMREF=n/p | AGE=60s')
    assert.match(
      bound.wrong.join('\n'),
      /spec.paramRef.parameterNotFoundAction: Required value\nspec.validationActions: .*must not contain both Deny and Warn/,
    )
  })
})

describe('flow control', () => {
  it('defaults, rules and columns', () => {
    const { object } = created(priorityLevelConfiguration, {
      spec: { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing: {} } } },
    })
    assert.equal(
      row(priorityLevelConfiguration, object),
      'NAME=one | TYPE=Limited | NOMINALCONCURRENCYSHARES=30 | QUEUES=64 | HANDSIZE=8 | QUEUELENGTHLIMIT=50 | AGE=60s',
    )
    assert.deepEqual(created(priorityLevelConfiguration, { spec: { type: 'Exempt' } }).wrong, [
      "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
    ])
    const queued = (queues: number, handSize: number) => {
      const limitResponse = { type: 'Queue', queuing: { queues, handSize, queueLengthLimit: 1 } }
      return created(priorityLevelConfiguration, { spec: { type: 'Limited', limited: { limitResponse } } }).wrong
    }
    const at = 'spec.limited.limitResponse.queuing'
    const tooMany = (queues: number, handSize: number) =>
      `${at}.handSize: Invalid value: ${handSize}: required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than 60`
    assert.deepEqual(queued(1000, 8), [tooMany(1000, 8)])
    assert.deepEqual(queued(1000, 6), [])
    // However large a hand somebody asks for, it costs nothing to refuse it.
    const most = 2 ** 31 - 1
    assert.deepEqual(queued(most, most), [`${at}.queues: Invalid value: ${most}: must not be greater than 10000000`, tooMany(most, most)])
    const schema = { priorityLevelConfiguration: { name: 'people' } }
    assert.equal(
      row(flowSchema, created(flowSchema, { spec: schema }).object),
      'NAME=one | PRIORITYLEVEL=people | MATCHINGPRECEDENCE=1000 | DISTINGUISHERMETHOD=<none> | AGE=60s | MISSINGPL=?',
    )
    const rules = [{ subjects: [{ kind: 'User' }], nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['x'] }] }]
    assert.deepEqual(created(flowSchema, { spec: { ...schema, rules } }).wrong, [
      "spec.rules[0].subjects[0].user: Required value: user is required when subject kind is 'User'",
      'spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: "x": must start with slash',
    ])
  })
})

describe('devices', () => {
  it('defaults, rules and columns', () => {
    const { object, wrong } = created(resourceClaim, {
      spec: { devices: { requests: [{ name: 'a', exactly: { deviceClassName: 'gpu' } }] } },
    })
    assert.deepEqual(
      [object.spec.devices.requests[0]?.exactly?.allocationMode, object.spec.devices.requests[0]?.exactly?.count, wrong],
      ['ExactCount', 1, []],
    )
    assert.equal(row(resourceClaim, object), 'NAME=one | STATE=pending | AGE=60s')
    assert.deepEqual(created(resourceClaim, { spec: { devices: { requests: [{ name: 'a' }] } } }).wrong, [
      'spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required',
    ])
    assert.match(
      updated(resourceClaim, object, (c) => void (c.spec.devices.requests = [])).join(),
      /^spec: Invalid value: .*: field is immutable$/,
    )
    const slice = { driver: 'gpu.example.com', pool: { name: 'p', generation: 1, resourceSliceCount: 1 } }
    const { object: one } = created(resourceSlice, { spec: { ...slice, nodeName: 'n' } })
    assert.equal(row(resourceSlice, one), 'NAME=one | NODE=n | DRIVER=gpu.example.com | POOL=p | AGE=60s')
    assert.deepEqual(created(resourceSlice, { spec: slice }).wrong, [
      'spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required',
    ])
  })
})
