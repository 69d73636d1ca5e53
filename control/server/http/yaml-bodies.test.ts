import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const yaml = { 'content-type': 'application/yaml' }
const head = 'apiVersion: v1\nkind: ConfigMap\n'

describe('bodies in YAML', () => {
  let server: Trial
  before(async () => {
    server = await trial()
  })
  after(() => server.close())

  it('are read in the dialect of 1.1', async () => {
    const text =
      'apiVersion: v1\nkind: Pod\nmetadata: &m {name: a, labels: {app: "on"}}\nspec:\n  hostNetwork: no\n  containers:\n  - {name: c, image: b, stdin: yes}\n' +
      '  volumes:\n  - name: v\n    configMap: {name: x, defaultMode: 0400}\n'
    const { code, body } = await server.ask('POST', '/api/v1/namespaces/test/pods', text, { headers: yaml })
    assert.equal(code, 201, body.message)
    assert.equal(body.spec.volumes[0].configMap.defaultMode, 0o400)
    assert.equal(body.spec.containers[0].stdin, true)
    assert.equal(body.spec.hostNetwork, undefined)
  })

  it('with a word that is a boolean where text belongs are refused', async () => {
    const { code, body } = await server.ask('POST', maps, `${head}metadata: {name: b}\ndata: {a: yes}\n`, { headers: yaml })
    assert.equal(code, 400)
    assert.match(body.message, /cannot unmarshal bool into Go struct field ConfigMap.data of type string/)
  })

  it('with merge keys and sexagesimals', async () => {
    const text = `${head}metadata: {name: c}\ndata:\n  time: 22:22\n  <<: {other: x, time: "1"}\n`
    const { body } = await server.ask('POST', `${maps}?fieldValidation=Ignore`, text, { headers: yaml })
    assert.deepEqual(body.data, { time: '1', other: 'x' })
  })

  it('with a key that comes twice: warned of, or refused', async () => {
    const text = `${head}metadata:\n  name: d\n  name: e\n`
    const warned = await server.ask('POST', maps, text, { headers: yaml })
    assert.equal(warned.code, 201)
    assert.match(warned.headers.get('warning') ?? '', /yaml: unmarshal errors: {3}line 5: key \\"name\\" already set in map/)
    const refused = await server.ask('POST', `${maps}?fieldValidation=Strict`, text, { headers: yaml })
    assert.equal(refused.code, 400)
    assert.match(refused.body.message, /strict decoding error: yaml: unmarshal errors:\n {2}line 5: key "name" already set in map$/)
    const apply = { headers: { 'content-type': 'application/apply-patch+yaml' } }
    const applied = await server.ask('PATCH', `${maps}/e?fieldManager=a&fieldValidation=Strict`, text, apply)
    assert.equal(applied.code, 400)
    assert.match(applied.body.message, /^error strict decoding YAML: yaml: unmarshal errors:\n {2}line 5/)
  })

  it('that are long are read beside the others', async () => {
    const text = (end: string) =>
      `${head}metadata: {name: long}\ndata:\n${Array.from({ length: 8000 }, (_, i) => `  k${i}: "x"\n`).join('')}${end}`
    const { code, body } = await server.ask('POST', `${maps}?dryRun=All`, text(''), { headers: yaml })
    assert.equal(code, 201)
    assert.equal(Object.keys(body.data).length, 8000)
    const refused = await server.ask('POST', maps, text('  a: b: c\n'), { headers: yaml })
    assert.match(refused.body.message, /^error converting YAML to JSON: yaml: line 8005: mapping values are not allowed in this context$/)
  })

  it('that are no UTF-8 are refused', async () => {
    const { code, body } = await server.ask('POST', maps, Buffer.from([0x61, 0x3a, 0xff]), { headers: yaml })
    assert.equal(code, 400)
    assert.match(body.message, /invalid leading UTF-8 octet/)
  })

  it('and answers in YAML read back as what they are', async () => {
    await server.ask('POST', maps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'f' },
      data: { yes: 'no', a: '0400', b: 'x\ny' },
    })
    const { text } = await server.ask('GET', `${maps}/f`, undefined, { headers: { accept: 'application/yaml' } })
    const again = await server.ask('PUT', `${maps}/f`, text, { headers: yaml })
    assert.deepEqual(again.body.data, { yes: 'no', a: '0400', b: 'x\ny' })
  })
})
