// Whole numbers beyond 2^53 keep every digit, wherever they pass.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { decodeProtobuf } from '#api/schema/protobuf.ts'
import { definition, establish } from '../custom/resources.fake.ts'
import { type Trial, trial } from '../testing/trial.fake.ts'

const odd = '9007199254740993'
const most = '9223372036854775807'
const least = '-9223372036854775808'
const parts = '/apis/example.com/v1/namespaces/test/parts'
const revisions = '/apis/apps/v1/namespaces/test/controllerrevisions'

describe('numbers beyond 2^53', () => {
  let server: Trial
  before(async () => {
    server = await trial()
    const number = { type: 'integer', format: 'int64' }
    const schema = {
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
      'x-kubernetes-validations': [{ rule: '!has(self.judged) || self.judged == 9007199254740993', message: 'it is another' }],
      properties: { judged: number, given: { ...number, default: BigInt(odd) }, half: { ...number, multipleOf: 2 } },
    }
    await establish(server, definition('parts', { schema }))
  })
  after(() => server.close())

  const part = (name: string, fields: string) => `{"apiVersion":"example.com/v1","kind":"Part","metadata":{"name":"${name}"},${fields}}`
  const patch = (path: string, type: string, body: string) =>
    server.ask('PATCH', path, body, { headers: { 'content-type': `application/${type}` } })
  const numbersOf = (text: string, field: string) => new RegExp(`"${field}":(\\{[^}]*\\}|\\[[^\\]]*\\]|[^,}]*)`).exec(text)?.[1]

  it('of custom resources are kept, patched, tested and applied', async () => {
    const fields = `"free":{"odd":${odd},"most":${most},"least":${least},"float":1.5,"whole":1.0,"beyond":18446744073709551616}`
    const made = await server.ask('POST', parts, part('a', fields))
    assert.equal(made.code, 201, made.text)
    assert.equal(numbersOf(made.text, 'given'), odd)
    const kept = `{"odd":${odd},"most":${most},"least":${least},"float":1.5,"whole":1,"beyond":18446744073709552000}`
    assert.equal(numbersOf(made.text, 'free'), kept)
    assert.equal((await patch(`${parts}/a`, 'merge-patch+json', `{"more":${odd}}`)).code, 200)
    const list = await server.ask('GET', parts)
    assert.deepEqual([numbersOf(list.text, 'free'), numbersOf(list.text, 'more')], [kept, odd])
    const test = (value: string) => patch(`${parts}/a`, 'json-patch+json', `[{"op":"test","path":"/more","value":${value}}]`)
    assert.deepEqual([(await test(odd)).code, (await test('9007199254740992')).code], [200, 422])
    const applied = await patch(`${parts}/b?fieldManager=me`, 'apply-patch+yaml', part('b', `"count":${odd}`))
    assert.deepEqual([applied.code, numbersOf(applied.text, 'count')], [201, odd])
    const other = await patch(`${parts}/b?fieldManager=you`, 'apply-patch+yaml', part('b', `"count":9007199254740992`))
    assert.equal(other.code, 409, 'it is another number')
    const yaml = await server.ask('GET', `${parts}/a`, undefined, { headers: { accept: 'application/yaml' } })
    assert.match(yaml.text, new RegExp(`odd: ${odd}\\n`))
  })

  it('are defaulted and judged, by schemas and expressions', async () => {
    const made = await server.ask('POST', parts, part('judged', `"judged":${odd}`))
    assert.deepEqual([made.code, numbersOf(made.text, 'judged')], [201, odd], made.text)
    const wrong = await server.ask('POST', parts, part('wrong', '"judged":9007199254740995'))
    assert.match(wrong.body.message, /it is another/)
    assert.equal((await server.ask('POST', parts, part('even', '"half":9007199254740994'))).code, 201)
    assert.match((await server.ask('POST', parts, part('uneven', `"half":${odd}`))).body.message, /should be a multiple of 2/)
  })

  it('of built-in kinds are kept, in JSON and in protobuf', async () => {
    const object = `{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{"name":"r"},"revision":${most},"data":{"odd":${odd}}}`
    const made = await server.ask('POST', revisions, object)
    assert.deepEqual([made.code, numbersOf(made.text, 'revision'), numbersOf(made.text, 'data')], [201, most, `{"odd":${odd}}`], made.text)
    const { text } = await patch(`${revisions}/r`, 'strategic-merge-patch+json', `{"metadata":{"labels":{"a":"b"}},"revision":${odd}}`)
    assert.deepEqual([numbersOf(text, 'revision'), numbersOf(text, 'data')], [odd, `{"odd":${odd}}`], text)
    const accept = 'application/vnd.kubernetes.protobuf'
    const answer = await server.open(`${revisions}/r`, { headers: { accept } })
    const read = decodeProtobuf(new Uint8Array(await answer.arrayBuffer()))
    assert.deepEqual([read.revision, read.data], [BigInt(odd), { odd: BigInt(odd) }])
    const beyond = await server.ask('POST', revisions, object.replace(most, '9223372036854775808').replace('"r"', '"s"'))
    assert.match(beyond.body.message, /cannot unmarshal number/)
  })

  it('are read from YAML, here and in the thread for long bodies', async () => {
    const yaml = { headers: { 'content-type': 'application/yaml' } }
    const object = (name: string, more = '') =>
      `apiVersion: apps/v1\nkind: ControllerRevision\nmetadata: {name: ${name}}\nrevision: ${odd}\n` +
      `data:\n  odd: [${odd}]\n  hex: 0x20000000000001\n  most: ${most}\n  least: ${least}\n  beyond: 18446744073709551616\n${more}`
    for (const [name, more] of [
      ['short', ''],
      ['long', `  text: "${'x'.repeat(70_000)}"\n`],
    ] as const) {
      const made = await server.ask('POST', revisions, object(name, more), yaml)
      assert.equal(made.code, 201, made.text)
      assert.equal(numbersOf(made.text, 'revision'), odd)
      const fields = ['odd', 'hex', 'most', 'least', 'beyond'].map((field) => numbersOf(made.text, field))
      assert.deepEqual(fields, [`[${odd}]`, odd, most, least, '18446744073709552000'])
    }
    // As in Go: a float of YAML is told as the whole number that it is.
    const float = await server.ask('POST', revisions, object('float').replace(`revision: ${odd}`, 'revision: 1.0'), yaml)
    assert.deepEqual([float.code, numbersOf(float.text, 'revision')], [201, '1'], float.text)
  })

  it('are no floats: of what is written as one in JSON no integer is read, as in Go', async () => {
    const object = (revision: string) =>
      `{"apiVersion":"apps/v1","kind":"ControllerRevision","metadata":{"name":"f"},"revision":${revision},"data":{"float":2.0,"odd":${odd}}}`
    for (const written of ['1.0', '1e3', `${odd}.0`]) {
      const { code, body } = await server.ask('POST', revisions, object(written))
      const why = `json: cannot unmarshal number ${written} into Go struct field ControllerRevision.revision of type int64`
      assert.deepEqual([code, body.message.split(': ').slice(1).join(': ')], [400, why])
    }
    const made = await server.ask('POST', revisions, object('1'))
    assert.deepEqual([made.code, numbersOf(made.text, 'data')], [201, `{"float":2,"odd":${odd}}`], made.text)
    const service = (port: string, target: string) =>
      `{"apiVersion":"v1","kind":"Service","metadata":{"name":"f"},"spec":{"ports":[{"port":${port},"targetPort":${target}}]}}`
    const services = '/api/v1/namespaces/test/services'
    assert.match((await server.ask('POST', services, service('80.0', '80'))).body.message, /number 80.0 into Go struct field/)
    assert.match((await server.ask('POST', services, service('80', '8e1'))).body.message, /number 8e1 into Go value of type int32/)
    assert.equal((await server.ask('POST', services, service('80', '80'))).code, 201)
    const custom = await server.ask('POST', parts, part('float', '"given":7.0'))
    assert.deepEqual([custom.code, numbersOf(custom.text, 'given')], [201, '7'], 'no type of Go reads it')
  })

  it('are no floats in patches, scales and what is posted beside objects', async () => {
    const deployments = '/apis/apps/v1/namespaces/test/deployments'
    const template = '{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}'
    const spec = `{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":${template}}`
    await server.ask('POST', deployments, `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"d"},"spec":${spec}}`)
    await server.ask('POST', '/api/v1/namespaces/test/serviceaccounts', '{"metadata":{"name":"sa"}}')
    const as = (type: string) => ({ headers: { 'content-type': `application/${type}` } })
    const d = `${deployments}/d`
    const scale = (replicas: string) =>
      `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"d"},"spec":{"replicas":${replicas}}}`
    const why = (field: string, number = '2.0') => `cannot unmarshal number ${number} into Go struct field ${field}`
    const json = 'json-patch+json'
    const refused: [method: string, path: string, body: string, type: string, words: string][] = [
      ['PATCH', d, '{"spec":{"replicas":2.0}}', 'merge-patch+json', why('DeploymentSpec.spec.replicas of type int32')],
      ['PATCH', d, '{"spec":{"replicas":2e0}}', 'merge-patch+json', why('DeploymentSpec.spec.replicas', '2e0')],
      ['PATCH', d, '[{"op":"replace","path":"/spec/replicas","value":2.0}]', json, why('DeploymentSpec.spec.replicas')],
      [
        'PATCH',
        d,
        '[{"op":"add","path":"/spec/template/spec/securityContext","value":{"supplementalGroups":[1,2.0]}}]',
        json,
        'cannot unmarshal number 2.0 into Go struct field PodSecurityContext.spec.template.spec.securityContext.supplementalGroups',
      ],
      [
        'PATCH',
        d,
        '[{"op":"add","path":"/spec/minReadySeconds","value":2.0},{"op":"copy","from":"/spec/minReadySeconds","path":"/spec/replicas"},{"op":"remove","path":"/spec/minReadySeconds"}]',
        json,
        why('DeploymentSpec.spec.replicas'),
      ],
      // As in Go, where the text is compared.
      ['PATCH', d, '[{"op":"test","path":"/spec/replicas","value":1.0}]', json, 'testing value /spec/replicas failed'],
      ['PUT', `${d}/scale`, scale('2.0'), 'json', why('ScaleSpec.spec.replicas of type int32')],
      ['PATCH', `${d}/scale`, '{"spec":{"replicas":2.0}}', 'merge-patch+json', why('ScaleSpec.spec.replicas')],
      ['PATCH', `${d}/scale`, '[{"op":"replace","path":"/spec/replicas","value":2.0}]', json, why('ScaleSpec.spec.replicas')],
      ['DELETE', d, '{"gracePeriodSeconds":2.0}', 'json', why('DeleteOptions.gracePeriodSeconds of type int64')],
      ['DELETE', `${d}?gracePeriodSeconds=2.0`, '', 'json', 'strconv.ParseInt: parsing "2.0": invalid syntax'],
      ['DELETE', `${d}?gracePeriodSeconds=0x2`, '', 'json', 'strconv.ParseInt: parsing "0x2": invalid syntax'],
      [
        'POST',
        '/api/v1/namespaces/test/serviceaccounts/sa/token',
        '{"spec":{"expirationSeconds":3600.0}}',
        'json',
        'cannot unmarshal number 3600.0 into Go struct field TokenRequestSpec.spec.expirationSeconds of type int64',
      ],
    ]
    for (const [method, path, body, type, words] of refused) {
      const { code, body: said } = await server.ask(method, path, body || undefined, as(type))
      assert.ok(code === 400 || code === 422, `${method} ${path} ${body}: ${code}`)
      assert.ok(JSON.stringify(said).includes(JSON.stringify(words).slice(1, -1)), JSON.stringify(said))
    }
    // Where Go has no text to read, it takes them.
    for (const [type, path] of [
      ['strategic-merge-patch+json', d],
      ['strategic-merge-patch+json', `${d}/scale`],
      ['apply-patch+yaml', `${d}?fieldManager=me&force=true`],
    ] as const) {
      const body = type.startsWith('apply')
        ? '{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":2.0}}'
        : '{"spec":{"replicas":2.0}}'
      const { code, text } = await server.ask('PATCH', path, body, as(type))
      assert.deepEqual([code, numbersOf(text, 'replicas')], [200, '2'], text)
    }
    // Quantities, free values and floating-point numbers are no integers.
    const patched = await server.ask('PATCH', d, '{"spec":{"template":{"spec":{"containers":null}}}}', as('merge-patch+json'))
    assert.equal(patched.code, 422)
    const limited =
      '[{"op":"add","path":"/spec/template/spec/containers/0/resources","value":{"limits":{"cpu":2.0}}},{"op":"add","path":"/metadata/labels","value":{}}]'
    const { code, body: said } = await server.ask('PATCH', d, limited, as(json))
    assert.deepEqual([code, said.spec.template.spec.containers[0].resources.limits], [200, { cpu: '2' }], JSON.stringify(said))
  })

  it('are seconds, too', async () => {
    const spec = `{"nodeName":"n","terminationGracePeriodSeconds":${odd},"containers":[{"name":"c","image":"i"}]}`
    const made = await server.ask(
      'POST',
      '/api/v1/namespaces/test/pods',
      `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"slow"},"spec":${spec}}`,
    )
    assert.deepEqual([made.code, numbersOf(made.text, 'terminationGracePeriodSeconds')], [201, odd], made.text)
    const gone = await server.ask('DELETE', '/api/v1/namespaces/test/pods/slow')
    assert.deepEqual([gone.code, numbersOf(gone.text, 'deletionTimestamp')], [200, '"9999-12-31T23:59:59Z"'], gone.text)
  })
})
