// Admission webhooks, by requests and a real HTTPS server.

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { Endpoints, Service } from '#api/kinds/index.ts'
import { patching, type WebhookServer } from '#control/extensions/webhook.fake.ts'
import { memoryStore } from '../../store/memory.ts'
import { definition, establish } from '../custom/resources.fake.ts'
import { here } from '../testing/dial.fake.ts'
import { configMap, deployment, type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'
import { about, all, deployments, type Hooked, hooked, maps, pods, registration } from './webhooks.fake.ts'

const merge = { headers: { 'content-type': 'application/merge-patch+json' } }
const apply = { headers: { 'content-type': 'application/apply-patch+yaml' } }

describe('admission webhooks', () => {
  let world: Hooked
  let server: Trial
  let hooks: WebhookServer
  let mutate: Hooked['mutate']
  let validate: Hooked['validate']

  before(async () => {
    world = await hooked()
    void ({ server, hooks, mutate, validate } = world)
  })
  after(() => world?.close())
  beforeEach(() => world.clear())

  it('are told who asks for what', async () => {
    await validate('told', { rules: [about(['deployments', 'deployments/scale'], ['*'], ['apps'])] })
    await server.ask('POST', `${deployments}?fieldManager=me`, deployment('web'))
    await server.ask('PATCH', `${deployments}/web`, { spec: { replicas: 2 } }, merge)
    await server.ask('PATCH', `${deployments}/web/scale`, { spec: { replicas: 3 } }, merge)
    await server.ask('DELETE', `${deployments}/web`, { propagationPolicy: 'Background' })
    const [create, patch, scale, remove] = hooks.asked.map(({ request }) => request)
    assert.deepEqual(
      hooks.asked.map(({ path, review }) => [path, review.kind, review.apiVersion]),
      Array.from({ length: 4 }, () => ['/told0?timeout=10s', 'AdmissionReview', 'admission.k8s.io/v1']),
    )
    const { uid, object, ...rest } = create
    assert.match(uid, /^[0-9a-f-]{36}$/)
    assert.deepEqual([object.metadata.name, object.spec.replicas, object.spec.template.spec.restartPolicy], ['web', 1, 'Always'])
    const kind = { group: 'apps', version: 'v1', kind: 'Deployment' }
    const resource = { group: 'apps', version: 'v1', resource: 'deployments' }
    assert.deepEqual(rest, {
      kind,
      resource,
      requestKind: kind,
      requestResource: resource,
      name: 'web',
      namespace: 'test',
      operation: 'CREATE',
      userInfo: { username: 'admin', groups: ['system:masters', 'system:authenticated'] },
      oldObject: null,
      dryRun: false,
      options: { kind: 'CreateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'me', fieldValidation: 'Warn' },
    })
    assert.deepEqual(
      [patch.operation, patch.oldObject.spec.replicas, patch.object.spec.replicas, patch.options.kind],
      ['UPDATE', 1, 2, 'PatchOptions'],
    )
    assert.deepEqual(
      [scale.subResource, scale.requestSubResource, scale.kind.kind, scale.kind.group],
      ['scale', 'scale', 'Scale', 'autoscaling'],
    )
    assert.deepEqual([scale.object.kind, scale.oldObject.spec, scale.object.spec], ['Scale', { replicas: 2 }, { replicas: 3 }])
    assert.deepEqual([remove.operation, remove.object, remove.oldObject.metadata.name], ['DELETE', null, 'web'])
    assert.deepEqual(remove.options, { kind: 'DeleteOptions', apiVersion: 'meta.k8s.io/v1', propagationPolicy: 'Background' })
  })

  it('change objects one after the other, in the order of their names', async () => {
    const add = (value: string) => (request: Json) =>
      patching([{ op: 'add', path: '/data/seen', value: `${request.object.data.seen ?? ''}${value}` }])
    for (const [path, value] of Object.entries({ '/b0': 'b0', '/a0': 'a0', '/a1': 'a1' })) hooks.decide.set(path, add(value))
    await mutate('b', {})
    await mutate('a', {}, {})
    const { code, body } = await server.ask('POST', maps, configMap('one', { own: 'x' }))
    assert.deepEqual([code, body.data], [201, { own: 'x', seen: 'a0a1b0' }])
    assert.deepEqual((await server.ask('GET', `${maps}/one`)).body.data, body.data)
    const owned = JSON.stringify(body.metadata.managedFields)
    assert.ok(owned.includes('f:own') && !owned.includes('f:seen'), 'what a webhook adds is nobody else’s')
  })

  it('make nothing that the kind does not know or allow', async () => {
    await mutate('odd', { rules: [about(['pods'])] })
    hooks.decide.set('/odd0', () =>
      patching([
        { op: 'add', path: '/spec/unknown', value: 1 },
        { op: 'add', path: '/spec/containers/-', value: { name: 'side', image: 'busybox:1' } },
        { op: 'replace', path: '/metadata/uid', value: 'mine' },
      ]),
    )
    const { code, body } = await server.ask('POST', pods, pod('a'))
    assert.equal(code, 201)
    assert.equal(body.spec.unknown, undefined)
    assert.notEqual(body.metadata.uid, 'mine')
    const [, side] = body.spec.containers
    assert.equal(side.terminationMessagePath, '/dev/termination-log', 'what it adds gets defaults')
    assert.equal(side.volumeMounts[0].mountPath, '/var/run/secrets/kubernetes.io/serviceaccount', 'and what admission gives to others')
    hooks.decide.set('/odd0', () => patching([{ op: 'replace', path: '/spec/containers/0/name', value: 'No Name' }]))
    const broken = await server.ask('POST', pods, pod('b'))
    assert.deepEqual([broken.code, broken.body.reason], [422, 'Invalid'])
    assert.match(broken.body.message, /spec\.containers\[0\]\.name: Invalid value: "No Name"/)
  })

  it('look again, once, where a later one changed the object and they want to', async () => {
    const count = (name: string) => hooks.asked.filter(({ path }) => path.startsWith(name)).length
    await mutate('again', { reinvocationPolicy: 'IfNeeded' }, {}, { reinvocationPolicy: 'IfNeeded' })
    hooks.decide.set('/again0', ({ object }) =>
      patching([{ op: 'add', path: '/data', value: { ...object.data, first: `${object.data?.second ?? 'none'}` } }]),
    )
    hooks.decide.set('/again1', ({ object }) => patching([{ op: 'add', path: '/data', value: { ...object.data, second: 'yes' } }]))
    const { body } = await server.ask('POST', maps, configMap('one'))
    assert.deepEqual(body.data, { first: 'yes', second: 'yes' })
    assert.deepEqual(['/again0', '/again1', '/again2'].map(count), [2, 1, 2], 'the last one, too: the first changed it after')
  })

  it('refuse in their own words', async () => {
    await validate('no', {}, {})
    const told: [Json, number, string | undefined, string][] = [
      [{ allowed: false }, 400, undefined, 'admission webhook "h0.no.example.com" denied the request without explanation'],
      [
        { allowed: false, status: { code: 403, message: 'not today', reason: 'Forbidden' } },
        403,
        'Forbidden',
        'admission webhook "h0.no.example.com" denied the request: not today',
      ],
      [{ allowed: false, status: { reason: 'Moody' } }, 400, 'Moody', 'admission webhook "h0.no.example.com" denied the request: Moody'],
      [
        { allowed: false, status: { code: 200, message: 'x' } },
        400,
        undefined,
        'admission webhook "h0.no.example.com" denied the request: x',
      ],
    ]
    for (const [response, code, reason, message] of told) {
      hooks.decide.set('/no0', () => response)
      hooks.decide.set('/no1', () => ({ allowed: false, warnings: ['think of the disk'] }))
      const answer = await server.ask('POST', maps, configMap('one'))
      assert.deepEqual([answer.code, answer.body.reason, answer.body.message, answer.body.status], [code, reason, message, 'Failure'])
      assert.equal(answer.headers.get('warning'), '299 - "think of the disk"', 'a refusal keeps its warnings')
    }
  })

  it('warn, within bounds', async () => {
    await validate('warn', {})
    const long = 'x'.repeat(3000)
    hooks.decide.set('/warn0', () => ({ allowed: true, warnings: ['a', 'a', long, `${long}y`, 'z'.repeat(1e6)] }))
    const { code, headers } = await server.ask('POST', maps, configMap('one'))
    assert.equal(code, 201)
    const warnings = headers.get('warning') ?? ''
    assert.match(warnings, /^299 - "a", 299 - "xxx/)
    assert.ok(warnings.length < 4500, `${warnings.length}`)
  })

  it('note what they have to say, and that they were passed over', async () => {
    await validate('notes', {}, { failurePolicy: 'Ignore' })
    hooks.decide.set('/notes0', () => ({ allowed: true, auditAnnotations: { why: 'because', odd: 5 } }))
    hooks.serve.set('/notes1', (response) => response.end('garbage'))
    const { code, headers } = await server.ask('POST', maps, configMap('one'))
    assert.equal(code, 201)
    assert.deepEqual(world.audited, [
      {
        audit: headers.get('audit-id'),
        verb: 'create',
        resource: 'configmaps',
        annotations: {
          'h0.notes.example.com/why': 'because',
          'failed-open.validating.webhook.admission.k8s.io': 'h1.notes.example.com',
        },
      },
    ])
  })

  it('are asked in the version that they speak, and for as long as they say', async () => {
    await validate('old', { admissionReviewVersions: ['v9', 'v1beta1'], timeoutSeconds: 7 })
    hooks.decide.set('/old0', () => ({ allowed: false }))
    assert.equal((await server.ask('POST', maps, configMap('one'))).code, 400)
    assert.deepEqual(
      hooks.asked.map(({ path, review }) => [path, review.apiVersion]),
      [['/old0?timeout=7s', 'admission.k8s.io/v1beta1']],
    )
  })

  it('are asked about what their rules and selectors name, and nothing else', async () => {
    const labels = { app: 'web' }
    await validate(
      'some',
      { rules: [about(['configmaps'], ['UPDATE'])] },
      { objectSelector: { matchLabels: labels }, rules: [about(['configmaps'], ['*'])] },
      { namespaceSelector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['test'] }] } },
      { rules: [{ ...about(['*']), scope: 'Cluster' }] },
      { rules: [{ ...about(['*']), scope: 'Namespaced' }] },
      { rules: [about(['*/status'], ['*'])] },
    )
    const askedBy = async (...request: Parameters<Trial['ask']>) => {
      hooks.asked.length = 0
      const { code, text } = await server.ask(...request)
      assert.ok(code < 300, text)
      return hooks.asked.map(({ path }) => path.slice(5, 6)).sort()
    }
    assert.deepEqual(await askedBy('POST', maps, configMap('one')), ['4'])
    assert.deepEqual(await askedBy('PATCH', `${maps}/one`, { metadata: { labels } }, merge), ['0', '1'])
    assert.deepEqual(
      await askedBy('PATCH', `${maps}/one`, { metadata: { labels: { app: null } } }, merge),
      ['0', '1'],
      'or it was one of them',
    )
    assert.deepEqual(await askedBy('POST', '/api/v1/namespaces/default/configmaps', configMap('one')), ['2', '4'])
    assert.deepEqual(await askedBy('POST', '/api/v1/namespaces', { metadata: { name: 'late' } }), ['3'])
    assert.deepEqual(await askedBy('POST', pods, pod('a')), ['4'])
    assert.deepEqual(await askedBy('PATCH', `${pods}/a/status`, { status: { phase: 'Running' } }, merge), ['5'])
    assert.equal((await server.ask('POST', '/api/v1/namespaces/nowhere/configmaps', configMap('one'))).code, 404)
    await server.ask('DELETE', '/api/v1/namespaces/default/configmaps/one')
  })

  it('are passed over, or not, where nobody can say whether they are meant', async () => {
    const matchConditions = [{ name: 'c', expression: 'object.data.a == "b"' }]
    await validate('unsure', { failurePolicy: 'Ignore', matchConditions })
    assert.equal((await server.ask('POST', maps, configMap('one'))).code, 201)
    await mutate('strict', { matchConditions: [{ name: 'no', expression: 'false' }, ...matchConditions] })
    assert.equal((await server.ask('POST', maps, configMap('two'))).code, 201, 'one No is enough')
    await mutate('stricter', { matchConditions })
    assert.equal((await server.ask('POST', maps, configMap('three'))).code, 403)
    assert.deepEqual(hooks.asked, [])
  })

  it('are not asked about themselves and their like', async () => {
    await validate('all', { rules: [all] })
    hooks.decide.set('/all0', () => ({ allowed: false }))
    assert.equal((await server.ask('POST', maps, configMap('one'))).code, 400)
    assert.equal(
      (await server.ask('PATCH', `${registration}/validatingwebhookconfigurations/all`, { metadata: { labels: { a: 'b' } } }, merge)).code,
      200,
    )
    assert.equal(hooks.asked.length, 1)
  })

  it('are asked about each object that goes', async () => {
    for (const name of ['a', 'b', 'c']) await server.ask('POST', maps, configMap(name))
    await validate('gone', { rules: [about(['configmaps'], ['DELETE'])] })
    hooks.decide.set('/gone0', ({ name }) => ({ allowed: name !== 'b', status: { message: `${name} stays` } }))
    const { code, body } = await server.ask('DELETE', maps)
    assert.deepEqual([code, body.message], [400, 'admission webhook "h0.gone.example.com" denied the request: b stays'])
    assert.equal((await server.ask('GET', `${maps}/b`)).code, 200)
    assert.ok(hooks.asked.some(({ request }) => request.name === 'b'))
    await server.ask('DELETE', `${registration}/validatingwebhookconfigurations/gone`)
    await mutate('gone-too', { rules: [about(['configmaps'], ['DELETE'])] })
    hooks.decide.set('/gone-too0', () => patching([{ op: 'add', path: '/x', value: 1 }]))
    const changed = await server.ask('DELETE', `${maps}/b`)
    assert.equal(
      changed.body.message,
      'Internal error occurred: admission webhook "h0.gone-too.example.com" attempted to modify the object, which is not supported for this operation',
    )
  })

  it('judge what is posted to subresources, and connections', async () => {
    await validate('subs', { rules: [about(['pods/*', 'serviceaccounts/token', 'services/proxy'], ['*'])] })
    await server.ask('POST', pods, pod('a'))
    hooks.asked.length = 0
    const bound = await server.ask('POST', `${pods}/a/binding`, { target: { kind: 'Node', name: 'n' } })
    assert.equal(bound.code, 201)
    await server.ask('POST', '/api/v1/namespaces/test/serviceaccounts/default/token', { spec: { expirationSeconds: 600 } })
    await server.ask('GET', '/api/v1/namespaces/test/services/none/proxy/path?x=y')
    await server.ask('POST', `${pods}/a/eviction`, { metadata: { name: 'a' } })
    assert.deepEqual(
      hooks.asked.map(({ request }) => [request.operation, request.subResource, request.kind.kind, request.object.kind, request.name]),
      [
        ['CREATE', 'binding', 'Binding', 'Binding', 'a'],
        ['CREATE', 'token', 'TokenRequest', 'TokenRequest', 'default'],
        ['CONNECT', 'proxy', 'ServiceProxyOptions', 'ServiceProxyOptions', 'none'],
        ['CREATE', 'eviction', 'Eviction', 'Eviction', 'a'],
      ],
    )
    assert.deepEqual(hooks.asked[2]?.request.object, { kind: 'ServiceProxyOptions', apiVersion: 'v1', path: '/path' })
    hooks.decide.set('/subs0', () => ({ allowed: false }))
    await server.ask('POST', pods, pod('b'))
    assert.equal((await server.ask('POST', `${pods}/b/binding`, { target: { kind: 'Node', name: 'n' } })).code, 400)
  })

  it('may change a scale, a binding, and of a status only the status', async () => {
    await server.ask('POST', deployments, deployment('web'))
    await server.ask('POST', pods, pod('a'))
    await mutate('part', { rules: [about(['deployments/scale', 'deployments/status'], ['*'], ['apps']), about(['pods/binding'], ['*'])] })
    hooks.decide.set('/part0', ({ subResource }) => {
      if (subResource === 'scale') return patching([{ op: 'replace', path: '/spec/replicas', value: 7 }])
      if (subResource === 'binding') return patching([{ op: 'replace', path: '/target/name', value: 'other' }])
      return patching([
        { op: 'replace', path: '/spec/replicas', value: 99 },
        { op: 'add', path: '/status/observedGeneration', value: 5 },
      ])
    })
    const scaled = await server.ask('PATCH', `${deployments}/web/scale`, { spec: { replicas: 2 } }, merge)
    assert.equal(scaled.body.spec.replicas, 7)
    const { body } = await server.ask('PATCH', `${deployments}/web/status`, { status: { replicas: 1 } }, merge)
    assert.deepEqual([body.spec.replicas, body.status.observedGeneration, body.status.replicas], [7, 5, 1])
    await server.ask('POST', `${pods}/a/binding`, { target: { kind: 'Node', name: 'n' } })
    assert.equal((await server.ask('GET', `${pods}/a`)).body.spec.nodeName, 'other')
  })

  it('are told numbers beyond 2^53 in all digits, and patch with them', async () => {
    const [odd, most] = ['9007199254740993', '9223372036854775807']
    await mutate('numbers', { rules: [about(['controllerrevisions'], ['*'], ['apps'])] })
    hooks.decide.set('/numbers0', ({ object }) =>
      patching(
        `[{"op":"test","path":"/revision","value":${object.revision}},{"op":"replace","path":"/revision","value":${most}},` +
          `{"op":"add","path":"/data/patched","value":[${odd}]}]`,
      ),
    )
    const body = `{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{"name":"n"},"revision":${odd},"data":{"kept":${odd}}}`
    const { code, text } = await server.ask('POST', '/apis/apps/v1/namespaces/test/controllerrevisions', body)
    assert.equal(code, 201, text)
    const { object } = hooks.asked[0]?.request ?? {}
    assert.deepEqual([object.revision, object.data.kept], [BigInt(odd), BigInt(odd)])
    for (const part of [`"revision":${most}`, `"kept":${odd}`, `"patched":[${odd}]`]) assert.ok(text.includes(part), text)
  })

  it('see each version that they ask for', async () => {
    const text = { type: 'object', properties: { spec: { type: 'object', properties: { a: { type: 'string' } } } } }
    const version = (name: string, storage: boolean) => ({ name, served: true, storage, schema: { openAPIV3Schema: text } })
    await establish(server, definition('hats', { versions: [version('v1', true), version('v2', false)] }))
    const rule = { ...about(['hats'], ['*'], ['example.com']), apiVersions: ['v1'] }
    await mutate('exact', { matchPolicy: 'Exact', rules: [rule] })
    await mutate('like', { rules: [rule] })
    hooks.decide.set('/like0', () => patching([{ op: 'add', path: '/spec', value: { a: 'x', pruned: true } }]))
    const at = '/apis/example.com/v2/namespaces/test/hats'
    const { body } = await server.ask('POST', at, { apiVersion: 'example.com/v2', kind: 'Hat', metadata: { name: 'one' } })
    assert.deepEqual([body.apiVersion, body.spec], ['example.com/v2', { a: 'x' }])
    assert.deepEqual(
      hooks.asked.map(({ path, request }) => [
        path.slice(0, 6),
        request.resource.version,
        request.requestResource.version,
        request.object.apiVersion,
      ]),
      [['/like0', 'v1', 'v2', 'example.com/v1']],
    )
    await server.ask('DELETE', at)
  })

  it('take part in server-side apply and dry runs', async () => {
    await mutate('dry', {}, { sideEffects: 'NoneOnDryRun' })
    hooks.decide.set('/dry0', () => patching([{ op: 'add', path: '/data/more', value: 'y' }]))
    const config = configMap('one', { a: 'x' })
    const { code, body } = await server.ask('PATCH', `${maps}/one?fieldManager=me&dryRun=All`, config, apply)
    assert.deepEqual([code, body.data], [201, { a: 'x', more: 'y' }])
    assert.deepEqual([hooks.asked[0]?.request.dryRun, hooks.asked[0]?.request.options.dryRun], [true, ['All']])
    assert.equal((await server.ask('GET', `${maps}/one`)).code, 404)
  })

  it('answer a service, too, and keep the connection', async () => {
    const metadata = { name: 'hook', namespace: 'test' }
    const clientConfig = { service: { ...metadata, path: '/service' }, caBundle: hooks.caBundle }
    await validate('service', { clientConfig })
    const refused = async () => (await server.ask('POST', maps, configMap('one'))).body.message
    const post = 'Post "https://hook.test.svc:443/service?timeout=10s"'
    const prefix = `Internal error occurred: failed calling webhook "h0.service.example.com": failed to call webhook: ${post}: `
    assert.equal(await refused(), `${prefix}service "hook" not found`)
    await server.client.create(Service, { metadata, spec: { ports: [{ port: 443, targetPort: hooks.port }] } })
    assert.equal(await refused(), `${prefix}no endpoints available for service "hook"`)
    await server.client.create(Endpoints, { metadata, subsets: [{ addresses: [{ ip: here }], ports: [{ port: hooks.port }] }] })
    const before = hooks.connections
    for (const name of ['one', 'two', 'three']) assert.equal((await server.ask('POST', maps, configMap(name))).code, 201)
    assert.deepEqual([hooks.asked.length, hooks.connections - before], [3, 1])
    await world.clear()
    for (const [i, path] of ['', undefined].entries()) {
      await validate(`bare${i}`, { clientConfig: { service: { ...metadata, path }, caBundle: hooks.caBundle } })
    }
    hooks.decide.set('/', () => ({ allowed: false, status: { message: 'at the root' } }))
    const { body } = await server.ask('POST', maps, configMap('four'))
    assert.match(body.message, /denied the request: at the root$/)
    assert.deepEqual([...new Set(hooks.asked.map(({ path }) => path))], ['/?timeout=10s'])
  })

  it('that nobody runs do not keep a server from starting', async () => {
    const store = await memoryStore()
    const first = await trial({ store })
    const dead = { clientConfig: { url: 'https://127.0.0.1:1/dead' }, rules: [all], name: 'dead.example.com' }
    const webhook = { ...dead, sideEffects: 'None', admissionReviewVersions: ['v1'] }
    for (const plural of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'])
      assert.equal((await first.ask('POST', `${registration}/${plural}`, { metadata: { name: 'dead' }, webhooks: [webhook] })).code, 201)
    await first.store.delete('/registry/core/services/default/kubernetes')
    await first.close()
    const second = await trial({ store })
    assert.ok(await second.client.find(Service, { namespace: 'default', name: 'kubernetes' }), 'it is made again')
    second.ready()
    assert.equal((await second.ask('POST', maps, configMap('one'))).code, 500)
    for (const plural of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'])
      assert.equal((await second.ask('DELETE', `${registration}/${plural}/dead`)).code, 200, 'the way out is open')
    assert.equal((await second.ask('POST', maps, configMap('one'))).code, 201)
    await second.close()
    await store.close()
  })
})
