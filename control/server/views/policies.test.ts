// ValidatingAdmissionPolicy, by requests.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import type { Log } from '#api/log.ts'
import { webhookServer } from '#control/extensions/webhook.fake.ts'
import { definition, establish } from '../custom/resources.fake.ts'
import { configMap, deployment, type Json, type Trial, trial } from '../testing/trial.fake.ts'

const registration = '/apis/admissionregistration.k8s.io/v1'
const policies = `${registration}/validatingadmissionpolicies`
const bindings = `${registration}/validatingadmissionpolicybindings`
const maps = '/api/v1/namespaces/test/configmaps'
const deployments = '/apis/apps/v1/namespaces/test/deployments'
const merge = { headers: { 'content-type': 'application/merge-patch+json' } }

const about = (resources: string[], apiGroups = [''], more: Json = {}) => ({
  resourceRules: [{ operations: ['CREATE', 'UPDATE'], apiGroups, apiVersions: ['*'], resources, ...more }],
})

describe('validating admission policies', () => {
  let server: Trial
  const audited: Json[] = []
  let made: string[] = []

  before(async () => {
    const nothing = () => {}
    const info: Log['info'] = (fields: object, message?: string) => void (message === 'audit' && audited.push(fields))
    server = await trial({ log: { debug: nothing, info, warn: nothing, error: nothing } })
    server.ready()
  })
  after(() => server?.close())
  afterEach(async () => {
    for (const path of made) await server.ask('DELETE', path)
    for (const path of [maps, deployments]) await server.ask('DELETE', path)
    made = []
    audited.length = 0
  })

  const object = (kind: string, name: string, spec: Json) => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name },
    spec,
  })
  async function make(path: string, body: Json): Promise<void> {
    const { code, text } = await server.ask('POST', path, body)
    assert.equal(code, 201, text)
    made.push(`${path}/${body.metadata.name}`)
  }
  const policy = (name: string, spec: Json) =>
    make(
      policies,
      object('ValidatingAdmissionPolicy', name, {
        matchConstraints: about(['configmaps']),
        validations: [{ expression: 'true' }],
        ...spec,
      }),
    )
  const bind = (name: string, policyName: string, spec: Json = {}) =>
    make(bindings, object('ValidatingAdmissionPolicyBinding', name, { policyName, validationActions: ['Deny'], ...spec }))
  const say = async (...request: Parameters<Trial['ask']>) => {
    const { code, body } = await server.ask(...request)
    return code < 300 ? code : body.message
  }

  it('deny in the words of Kubernetes, once they are bound', async () => {
    await policy('few', {
      matchConstraints: about(['deployments'], ['apps']),
      validations: [{ expression: 'object.spec.replicas <= 5' }],
    })
    assert.equal(await say('POST', deployments, deployment('free', 9)), 201)
    await bind('few-here', 'few')
    assert.equal(await say('POST', deployments, deployment('web', 5)), 201)
    const { code, body } = await server.ask('POST', deployments, deployment('wide', 6))
    const why = "ValidatingAdmissionPolicy 'few' with binding 'few-here' denied request: failed expression: object.spec.replicas <= 5"
    assert.deepEqual([code, body.reason, body.message], [422, 'Invalid', `deployments.apps "wide" is forbidden: ${why}`])
    assert.deepEqual(body.details, { name: 'wide', group: 'apps', kind: 'deployments', causes: [{ message: why }] })
    assert.match(await say('PATCH', `${deployments}/web`, { spec: { replicas: 6 } }, merge), /denied request: failed expression/)
    assert.equal((await server.ask('GET', `${deployments}/web`)).body.spec.replicas, 5)
  })

  it('give their own message and reason', async () => {
    await policy('named', {
      variables: [{ name: 'short', expression: 'object.metadata.name.size() < 3' }],
      validations: [
        { expression: '!variables.short', messageExpression: '"name " + object.metadata.name + " is too short"', reason: 'Forbidden' },
        { expression: 'object.metadata.name != "long"', message: 'not long', reason: 'Unauthorized' },
      ],
    })
    await bind('named', 'named')
    const short = await server.ask('POST', maps, configMap('a'))
    assert.deepEqual([short.code, short.body.reason], [403, 'Forbidden'])
    assert.match(short.body.message, /denied request: name a is too short$/)
    assert.equal((await server.ask('POST', maps, configMap('long'))).code, 401)
    assert.equal((await server.ask('POST', maps, configMap('good'))).code, 201)
  })

  it('warn and audit instead', async () => {
    await policy('soft', {
      validations: [{ expression: 'false', message: 'never good' }],
      auditAnnotations: [{ key: 'name', valueExpression: '"name=" + object.metadata.name' }],
    })
    await bind('soft-b', 'soft', { validationActions: ['Warn', 'Audit'] })
    const { code, headers } = await server.ask('POST', maps, configMap('one'))
    assert.equal(code, 201)
    assert.equal(headers.get('warning'), `299 - "Validation failed for ValidatingAdmissionPolicy 'soft' with binding 'soft-b': never good"`)
    const [{ annotations, audit }] = audited as [Json]
    assert.equal(audit, headers.get('audit-id'))
    assert.equal(annotations['soft/name'], 'name=one')
    assert.deepEqual(JSON.parse(annotations['validation.policy.admission.k8s.io/validation_failure']), [
      { message: 'never good', policy: 'soft', binding: 'soft-b', expressionIndex: 0, validationActions: ['Warn', 'Audit'] },
    ])
  })

  it('take parameters, by name and by label', async () => {
    await establish(
      server,
      definition('caps', { schema: { type: 'object', properties: { most: { type: 'integer' } } }, scope: 'Namespaced' }),
    )
    const cap = (name: string, most: number) => ({ metadata: { name, labels: { use: 'yes' } }, most })
    const caps = '/apis/example.com/v1/namespaces/test/caps'
    await policy('capped', {
      paramKind: { apiVersion: 'example.com/v1', kind: 'Cap' },
      matchConstraints: about(['deployments'], ['apps']),
      validations: [{ expression: 'object.spec.replicas <= params.most', messageExpression: '"at most " + string(params.most)' }],
    })
    await bind('by-name', 'capped', { paramRef: { name: 'small', parameterNotFoundAction: 'Deny' } })
    assert.match(
      await say('POST', deployments, deployment('web', 2)),
      /with binding 'by-name' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction$/,
    )
    await server.ask('POST', caps, cap('small', 2))
    assert.equal(await say('POST', deployments, deployment('web', 2)), 201)
    assert.match(await say('POST', deployments, deployment('more', 3)), /denied request: at most 2$/)
    await server.ask('DELETE', made.pop() ?? '')
    await bind('by-label', 'capped', { paramRef: { selector: { matchLabels: { use: 'yes' } }, parameterNotFoundAction: 'Allow' } })
    await server.ask('POST', caps, cap('tiny', 1))
    assert.match(await say('POST', deployments, deployment('more', 2)), /denied request: at most 1$/, 'every one of them must agree')
    await server.ask('DELETE', caps)
    assert.equal(await say('POST', deployments, deployment('more', 9)), 201)
  })

  it('find parameters where they are: for the whole cluster, in the namespace, or in one that is named', async () => {
    await policy('placed', {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: 'params.data.open == "yes"', messageExpression: '"closed by " + params.metadata.namespace' }],
    })
    const config = (open: string) => ({ metadata: { name: 'rule', labels: { rule: 'yes' } }, data: { open } })
    assert.equal(await say('POST', '/api/v1/namespaces/default/configmaps', config('no')), 201)
    assert.equal(await say('POST', maps, config('yes')), 201)
    const selector = { matchLabels: { rule: 'yes' } }
    await bind('here', 'placed', { paramRef: { selector, parameterNotFoundAction: 'Deny' } })
    assert.equal(await say('POST', maps, configMap('one')), 201)
    await bind('there', 'placed', { paramRef: { name: 'rule', namespace: 'default', parameterNotFoundAction: 'Deny' } })
    assert.match(await say('POST', maps, configMap('two')), /with binding 'there' denied request: closed by default$/)
    await server.ask('DELETE', made.pop() ?? '')
    assert.equal(await say('DELETE', `${maps}/rule`), 200)
    assert.match(await say('POST', maps, configMap('two')), /with binding 'here' .* no params found for policy binding with `Deny`/)
    await server.ask('DELETE', '/api/v1/namespaces/default/configmaps/rule')
    await server.ask('DELETE', made.pop() ?? '')

    await policy('wide', {
      paramKind: { apiVersion: 'v1', kind: 'Namespace' },
      validations: [{ expression: 'params.metadata.name != "default"', message: 'not by that' }],
    })
    await bind('wide', 'wide', { paramRef: { name: 'default', parameterNotFoundAction: 'Deny' } })
    assert.match(await say('POST', maps, configMap('two')), /denied request: not by that$/)
  })

  it('judge deletions by what was there, and connections', async () => {
    const rule = { operations: ['DELETE', 'CONNECT'], apiGroups: [''], apiVersions: ['*'], resources: ['configmaps', 'services/proxy'] }
    await policy('keep', {
      matchConstraints: { resourceRules: [rule] },
      validations: [
        { expression: 'request.operation != "DELETE" || object == null && oldObject.?data.keep.orValue("") != "yes"', message: 'kept' },
        { expression: 'request.operation != "CONNECT" || object.path != "/secret"', message: 'no way' },
      ],
    })
    await bind('keep', 'keep')
    for (const keep of ['yes', 'no']) assert.equal(await say('POST', maps, configMap(keep, { keep })), 201)
    assert.equal(await say('DELETE', `${maps}/no`), 200)
    assert.match(await say('DELETE', `${maps}/yes`), /^configmaps "yes" is forbidden: .* denied request: kept$/)
    assert.match(await say('DELETE', maps), /denied request: kept$/)
    assert.match(await say('GET', '/api/v1/namespaces/test/services/none/proxy/secret'), /denied request: no way$/)
    assert.doesNotMatch(await say('GET', '/api/v1/namespaces/test/services/none/proxy/open'), /denied/)
  })

  it('are about what both policy and binding name', async () => {
    await policy('scoped', {
      matchConstraints: {
        ...about(['configmaps']),
        excludeResourceRules: [{ ...about(['configmaps']).resourceRules[0], resourceNames: ['spared'] }],
      },
      matchConditions: [{ name: 'not-admin', expression: '!("trusted" in request.userInfo.groups)' }],
      validations: [{ expression: 'namespaceObject.metadata.name == "nowhere"' }],
    })
    await bind('scoped', 'scoped', { matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'test' } } } })
    assert.match(await say('POST', maps, configMap('one')), /denied/)
    assert.equal(await say('POST', maps, configMap('spared')), 201)
    assert.equal(await say('POST', '/api/v1/namespaces/default/configmaps', configMap('one')), 201)
    const user = { name: 'ann', groups: ['system:masters', 'trusted'] }
    assert.equal(await say('POST', maps, configMap('two'), { user }), 201)
    await server.ask('DELETE', '/api/v1/namespaces/default/configmaps/one')
  })

  it('ask for rights', async () => {
    await policy('rights', {
      validations: [
        { expression: 'authorizer.group("").resource("secrets").namespace("test").check("delete").allowed()', message: 'not yours' },
      ],
    })
    await bind('rights', 'rights')
    await server.ask('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
      metadata: { name: 'maps' },
      rules: [{ verbs: ['*'], apiGroups: [''], resources: ['configmaps'] }],
    })
    await server.ask('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'maps' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'maps' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'bob' }],
    })
    assert.equal(await say('POST', maps, configMap('one')), 201)
    assert.match(await say('POST', maps, configMap('two'), { user: { name: 'bob', groups: [] } }), /denied request: not yours$/)
  })

  it('fail as they say that they want to', async () => {
    await policy('strict', { validations: [{ expression: 'object.data.nope == "x"' }] })
    await bind('strict', 'strict')
    assert.match(
      await say('POST', maps, configMap('one', { a: 'b' })),
      /denied request: expression 'object\.data\.nope == "x"' resulted in error: no such key: nope$/,
    )
    assert.equal(await say('PATCH', `${policies}/strict`, { spec: { failurePolicy: 'Ignore' } }, merge), 200)
    assert.equal(await say('POST', maps, configMap('one', { a: 'b' })), 201)
  })

  it('must make sense', async () => {
    const spec = {
      matchConstraints: about(['configmaps']),
      matchConditions: [{ name: 'c', expression: '1' }],
      variables: [{ name: 'v', expression: 'nope' }],
      validations: [{ expression: 'object.x ==', messageExpression: 'true' }],
    }
    const { code, body } = await server.ask('POST', policies, object('ValidatingAdmissionPolicy', 'odd', spec))
    assert.equal(code, 422)
    assert.deepEqual(
      body.details.causes.map(({ field }: Json) => field),
      [
        'spec.variables[0].expression',
        'spec.matchConditions[0].expression',
        'spec.validations[0].expression',
        'spec.validations[0].messageExpression',
      ],
    )
    assert.match(
      body.message,
      /spec\.validations\[0\]\.expression: Invalid value: "object\.x ==": compilation failed: ERROR: <input>:1:12: /,
    )
  })

  it('leave themselves alone', async () => {
    await policy('all', { matchConstraints: about(['*'], ['*']), validations: [{ expression: 'false' }] })
    await bind('all', 'all')
    assert.match(await say('POST', maps, configMap('one')), /denied/)
    assert.equal(await say('PATCH', `${policies}/all`, { metadata: { labels: { a: 'b' } } }, merge), 200)
  })

  it('share their conditions with webhooks', async () => {
    const hooks = await webhookServer()
    const webhook = {
      name: 'h.example.com',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      clientConfig: { url: hooks.url('/'), caBundle: hooks.caBundle },
      rules: about(['configmaps']).resourceRules,
    }
    const configuration = (matchConditions: Json) => ({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'h' },
      webhooks: [{ ...webhook, matchConditions }],
    })
    const path = `${registration}/validatingwebhookconfigurations`
    const odd = await server.ask('POST', path, configuration([{ name: 'c', expression: 'variables.x' }]))
    assert.match(odd.body.message, /webhooks\[0\]\.matchConditions\[0\]\.expression: Invalid value: "variables\.x": compilation failed/)
    await make(path, configuration([{ name: 'c', expression: 'object.metadata.name != "quiet" && object.data.a == "b"' }]))
    assert.equal(await say('POST', maps, configMap('one', { a: 'b' })), 201)
    assert.equal(await say('POST', maps, configMap('quiet', { a: 'b' })), 201)
    assert.equal(hooks.asked.length, 1)
    assert.equal(
      await say('POST', maps, configMap('two')),
      `configmaps "two" is forbidden: expression 'object.metadata.name != "quiet" && object.data.a == "b"' resulted in error: no such key: data`,
    )
    assert.equal(hooks.asked.length, 1)
    await hooks.close()
  })
})
