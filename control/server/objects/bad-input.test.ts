import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { anonymous } from '#control/auth/user.ts'
import { configMap, deployment, pod, type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const pods = '/api/v1/namespaces/test/pods'

describe('bad input', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  /** Asks, and requires one clear Status of this code and reason. */
  async function refused(
    method: string,
    path: string,
    body: unknown,
    code: number,
    reason: string,
    text: RegExp,
    headers: Record<string, string> = {},
  ) {
    const answer = await server.ask(method, path, body, { headers })
    assert.deepEqual([answer.body.kind, answer.code, answer.body.code, answer.body.reason], ['Status', code, code, reason], answer.text)
    assert.match(answer.body.message, text)
    return answer
  }

  it('of a form that nobody speaks', async () => {
    await refused('POST', maps, 'x', 415, 'UnsupportedMediaType', /accepted media types include/, { 'content-type': 'text/plain' })
    await refused('PATCH', `${maps}/a`, '{}', 415, 'UnsupportedMediaType', /json-patch/, { 'content-type': 'application/json' })
    await refused('GET', maps, undefined, 406, 'NotAcceptable', /only the following media types/, { accept: 'image/png' })
    await refused('GET', maps, undefined, 406, 'NotAcceptable', /application\/vnd.kubernetes.protobuf$/, {
      accept: 'application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1',
    })
    // What has no rows and no metadata of its own.
    const review = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { nonResourceAttributes: { path: '/' } },
    }
    for (const as of ['Table', 'PartialObjectMetadata']) {
      const accept = `application/json;as=${as};g=meta.k8s.io;v=v1`
      await refused('POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review, 406, 'NotAcceptable', /accepted/, { accept })
    }
  })

  it('that is broken, with the place where', async () => {
    await refused('POST', maps, '{"a": ', 400, 'BadRequest', /json/i)
    const yaml = { 'content-type': 'application/yaml' }
    await refused('POST', maps, 'kind: ConfigMap\nmetadata: {name: a\n  b: [', 400, 'BadRequest', /yaml: line \d+: /, yaml)
    await refused('POST', maps, '[]', 400, 'BadRequest', /one object/)
    await refused('POST', maps, '', 400, 'BadRequest', /one object/)
    await refused('POST', maps, '[[[['.repeat(50_000), 400, 'BadRequest', /./)
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`)
      .join('\n')}\n`
    await refused('POST', maps, bomb, 400, 'BadRequest', /alias/i, yaml)
    await refused('POST', maps, Buffer.from([0x6b, 0x38, 0x73, 0x00, 0xff, 0xff]), 400, 'BadRequest', /./, {
      'content-type': 'application/vnd.kubernetes.protobuf',
    })
    for (const type of ['json-patch', 'merge-patch', 'strategic-merge-patch']) {
      await refused('PATCH', `${maps}/a`, '{', 400, 'BadRequest', /error decoding patch/, { 'content-type': `application/${type}+json` })
    }
  })

  it('that is too much', async () => {
    const text = JSON.stringify(configMap('large', { a: 'x'.repeat(10_000_000) }))
    await refused('POST', maps, text, 413, 'RequestEntityTooLarge', /limit is 3145728/)
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        sent += 65_536
        controller.enqueue(new Uint8Array(65_536).fill(32))
      },
    })
    const init = { method: 'POST', body: endless, duplex: 'half', headers: { 'content-type': 'application/json' } }
    const response = await server.app.request(maps, init as RequestInit, { user: { name: 'admin', groups: ['system:masters'] } })
    assert.equal(response.status, 413)
    assert.ok(sent < 5_000_000, 'the rest is never read')
    await refused(
      'POST',
      maps,
      configMap('big', { a: 'x'.repeat(1_100_000) }),
      422,
      'Invalid',
      /is invalid: \[\]: Too long: may not be more than 1048576 bytes/,
    )
  })

  it('for what is not there', async () => {
    await refused('GET', '/api/v1/namespaces/test/nothings', undefined, 404, 'NotFound', /could not find the requested resource/)
    await refused('GET', '/apis/none.example/v1/things', undefined, 404, 'NotFound', /could not find/)
    await refused('GET', `${maps}/absent`, undefined, 404, 'NotFound', /^configmaps "absent" not found$/)
    await refused('GET', `${maps}/a/nothing`, undefined, 404, 'NotFound', /could not find/)
    await refused('GET', `${maps}/a/status`, undefined, 404, 'NotFound', /could not find/)
    await refused('GET', `${pods}/a/status/more`, undefined, 404, 'NotFound', /could not find/)
    await refused('GET', '/nowhere', undefined, 404, 'NotFound', /could not find/)
    await refused('GET', '/api/v1/namespaces/test/nodes', undefined, 404, 'NotFound', /./)
    await refused('POST', '/api/v1/namespaces/missing/configmaps', configMap('a'), 404, 'NotFound', /^namespaces "missing" not found$/)
  })

  it('in a path or method that makes no sense', async () => {
    await refused('GET', '/api/v1/namespaces/test/configmaps/%zz', undefined, 400, 'BadRequest', /percent-encoding/)
    await refused('GET', '/api/v1/namespaces/test/configmaps/a%2Fb', undefined, 400, 'BadRequest', /invalid path segment/)
    await refused('POST', '/version', {}, 405, 'MethodNotAllowed', /does not allow this method/)
    await refused('POST', `${maps}/a`, configMap('a'), 405, 'MethodNotAllowed', /./)
    await refused('PUT', maps, configMap('a'), 405, 'MethodNotAllowed', /./)
    await refused('DELETE', '/api/v1/namespaces', undefined, 405, 'MethodNotAllowed', /./)
    await refused('POST', '/api/v1/configmaps', configMap('a'), 405, 'MethodNotAllowed', /./)
    await refused('OPTIONS', maps, undefined, 405, 'MethodNotAllowed', /./)
  })

  it('of another kind or place than the path says', async () => {
    await refused(
      'POST',
      maps,
      { ...configMap('a'), kind: 'Secret' },
      400,
      'BadRequest',
      /Secret in version "v1" cannot be handled as a ConfigMap/,
    )
    await refused(
      'POST',
      maps,
      { ...configMap('a'), apiVersion: 'v2' },
      400,
      'BadRequest',
      /does not match the expected API version \(v1\)/,
    )
    await refused(
      'POST',
      maps,
      { ...configMap('a'), metadata: { name: 'a', namespace: 'other' } },
      400,
      'BadRequest',
      /namespace of the provided object does not match/,
    )
    await refused(
      'POST',
      maps,
      { ...configMap('a'), metadata: { name: 'a', resourceVersion: '5' } },
      400,
      'BadRequest',
      /resourceVersion should not be set/,
    )
  })

  it('of the wrong type', async () => {
    await refused(
      'POST',
      maps,
      { ...configMap('a'), data: { a: 1 } },
      400,
      'BadRequest',
      /cannot unmarshal number into Go struct field ConfigMap.data of type string/,
    )
    await refused('POST', maps, { ...configMap('a'), metadata: 'x' }, 400, 'BadRequest', /cannot unmarshal string/)
  })

  it('breaks the rules of its kind, all of them told at once', async () => {
    const { body } = await refused(
      'POST',
      pods,
      pod('Bad_Name', { containers: [{ name: 'c' }], restartPolicy: 'Maybe' }),
      422,
      'Invalid',
      /^Pod "Bad_Name" is invalid: \[/,
    )
    assert.deepEqual(
      body.details.causes.map((c: { field: string; reason: string }) => [c.field, c.reason]),
      [
        ['metadata.name', 'FieldValueInvalid'],
        ['spec.containers[0].image', 'FieldValueRequired'],
        ['spec.restartPolicy', 'FieldValueNotSupported'],
      ],
    )
    const other = deployment('a')
    other.spec.template.metadata.labels.app = 'b'
    await refused('POST', '/apis/apps/v1/namespaces/test/deployments', other, 422, 'Invalid', /`selector` does not match template `labels`/)
    await refused('POST', maps, configMap(''), 422, 'Invalid', /metadata.name: Required value: name or generateName is required/)
  })

  it('uses names that every JavaScript object has', async () => {
    const secret = { metadata: { name: 'proto' }, type: '__proto__' }
    assert.equal((await server.ask('POST', '/api/v1/namespaces/test/secrets', secret)).code, 201)
    await refused(
      'POST',
      pods,
      pod('proto', { priorityClassName: 'constructor' }),
      403,
      'Forbidden',
      /no PriorityClass with name constructor/,
    )
    await refused('GET', `${maps}?fieldSelector=constructor%3Dx`, undefined, 400, 'BadRequest', /field label not supported: constructor/)
    await refused('PATCH', `${maps}/a`, '{}', 415, 'UnsupportedMediaType', /./, { 'content-type': 'constructor' })
    const data = { metadata: { name: 'own' }, data: JSON.parse('{"__proto__": "x", "a": "b"}') }
    const { text } = await server.ask('POST', maps, JSON.stringify(data))
    assert.match(text, /"data":\{"__proto__":"x","a":"b"\}/)
  })

  it('changes what may not change', async () => {
    await server.ask('POST', pods, pod('fixed'))
    const patch = { spec: { containers: [{ name: 'c', command: ['other'] }] } }
    const strategic = { 'content-type': 'application/strategic-merge-patch+json' }
    await refused(
      'PATCH',
      `${pods}/fixed`,
      patch,
      422,
      'Invalid',
      /spec: Forbidden: pod updates may not change fields other than/,
      strategic,
    )
    const image = await server.ask(
      'PATCH',
      `${pods}/fixed`,
      { spec: { containers: [{ name: 'c', image: 'busybox:2' }] } },
      { headers: strategic },
    )
    assert.deepEqual([image.code, image.body.metadata.generation], [200, 2])
    await server.ask('POST', maps, { ...configMap('frozen', { a: '1' }), immutable: true })
    await refused(
      'PUT',
      `${maps}/frozen`,
      { ...configMap('frozen', { a: '2' }), immutable: true },
      422,
      'Invalid',
      /field is immutable when `immutable` is set/,
    )
  })

  it('asks in options for what there is not', async () => {
    await refused('POST', `${maps}?dryRun=Some`, configMap('a'), 422, 'Invalid', /dryRun: Unsupported value: "Some"/)
    await refused('POST', `${maps}?fieldValidation=Maybe`, configMap('a'), 422, 'Invalid', /fieldValidation: Unsupported value/)
    await server.ask('POST', maps, configMap('options'))
    await refused('DELETE', `${maps}/options?propagationPolicy=Sideways`, undefined, 422, 'Invalid', /propagationPolicy/)
    const merge = { 'content-type': 'application/merge-patch+json' }
    await refused('PATCH', `${maps}/options?force=true`, {}, 422, 'Invalid', /force: Forbidden: may not be specified/, merge)
    const both = { propagationPolicy: 'Orphan', orphanDependents: true }
    await refused('DELETE', `${maps}/options`, both, 422, 'Invalid', /cannot be both set/)
    await refused('DELETE', `${maps}/options`, { preconditions: { uid: 'another' } }, 409, 'Conflict', /Precondition failed: UID/)
    assert.equal((await server.ask('GET', `${maps}/options`)).code, 200)
  })

  it('comes from nobody, or from somebody who may not', async () => {
    const as = (user: Parameters<Trial['ask']>[3]) => server.ask('GET', maps, undefined, user)
    const nobody = await as({ user: anonymous })
    assert.deepEqual([nobody.code, nobody.body.reason], [403, 'Forbidden'])
    assert.equal(
      nobody.body.message,
      'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "test"',
    )
    assert.equal((await server.ask('GET', '/version', undefined, { user: anonymous })).code, 200)
    assert.equal((await server.ask('GET', '/apis', undefined, { user: anonymous })).code, 403)
    const headers = { 'impersonate-user': 'jane', 'impersonate-group': 'dev' }
    const jane = await server.ask('GET', maps, undefined, { headers })
    assert.deepEqual([jane.code, /User "jane" cannot list/.test(jane.body.message)], [403, true])
    const thief = await server.ask('GET', maps, undefined, { headers, user: { name: 'thief', groups: [] } })
    assert.match(thief.body.message, /User "thief" cannot impersonate resource "users"/)
    const bad = await server.app.request(maps, {}, { credentials: () => ({ authorization: 'Bearer nonsense' }) })
    assert.deepEqual([bad.status, ((await bad.json()) as { reason: string }).reason], [401, 'Unauthorized'])
  })
})
