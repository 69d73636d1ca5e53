// What a client may send to make the server slow, large or wrong: each is refused or bounded, and others are
// answered meanwhile.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, constants } from 'node:http2'
import { after, before, describe, it, type TestContext } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { definition, definitions } from '#control/server/custom/resources.fake.ts'
import { configMap, type Json, pod } from '#control/server/testing/trial.fake.ts'
import { type Served, served } from './served.fake.ts'

const maps = '/api/v1/namespaces/default/configmaps'
const rehearsal = '?dryRun=All'
/** No turn takes longer than so many of the reference's, which takes some 10 ms where little else runs. What it was is told by each test. */
const mostHeld = 10
/** As many as one map may have. */
const most = 16_384
const list = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i))
const keys = (n: number, make: (i: number) => [string, unknown]): Json => Object.fromEntries(list(n, make))
const withMeta = (metadata: Json) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ...metadata } })
const data = (n: number) => keys(n, (i) => [`k${i}`, ''])

let server: Served
let health: ClientHttp2Session
before(async () => {
  server = await served()
  health = server.connect()
  await server.ask('POST', maps, configMap('small', { a: 'b' }))
  await server.ask('POST', maps, configMap('large', data(most)))
  // What is compiled with the first requests is no request's fault.
  await server.ask('POST', `${maps}${rehearsal}`, configMap('a', data(most)))
  await server.tell()
})
after(async () => {
  health.destroy()
  await server[Symbol.asyncDispose]()
})

/** Asks after the server's health for as long as `work` takes; what it says in the end is about that time. */
async function meanwhile(t: TestContext, work: () => Promise<unknown>, most = mostHeld): Promise<void> {
  const over = new AbortController()
  let slowest = 0
  const poll = async () => {
    do {
      const asked = performance.now()
      assert.equal((await server.ask('GET', '/healthz', undefined, { on: health })).text, 'ok')
      slowest = Math.max(slowest, performance.now() - asked)
    } while (!over.signal.aborted)
  }
  const polling = poll()
  try {
    await work()
  } finally {
    over.abort()
    await polling
  }
  const { held, reference } = await server.tell()
  t.diagnostic(
    `held for ${held.toFixed(0)} ms of processor time, the reference takes ${reference.toFixed(1)}; /healthz took up to ${slowest.toFixed(0)} ms`,
  )
  assert.ok(held < most * reference, `the event loop was held for ${held} ms, where the reference takes ${reference}`)
}

/** A ConfigMap whose `data` has 400,000 entries without key and value. */
function manyMessages(): Buffer {
  const sized = (tag: number, bytes: Uint8Array) => {
    const size: number[] = []
    for (let left = bytes.length; ; left >>>= 7) {
      size.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0))
      if (left <= 0x7f) return Buffer.concat([Buffer.from([tag, ...size]), bytes])
    }
  }
  const type = Buffer.concat([sized(0x0a, Buffer.from('v1')), sized(0x12, Buffer.from('ConfigMap'))])
  return Buffer.concat([Buffer.from('k8s\0'), sized(0x0a, type), sized(0x12, Buffer.alloc(800_000, Buffer.from([0x12, 0])))])
}

type Shape = { method?: string; path?: string; type?: string; body: unknown; code: number }
const tree = (depth: number, seed: number): Json =>
  depth === 0
    ? { type: 'string', enum: ['a', 'b'], maxLength: seed + 1 }
    : { type: 'object', description: 'a branch', properties: keys(8, (i) => [`q${seed}${i}`, tree(depth - 1, i)]) }
const apply = 'application/apply-patch+yaml'
const shapes: Record<string, () => Shape> = {
  'more members than one map may have': () => ({ body: configMap('a', data(most + 1)), code: 413 }),
  'more finalizers than a set may have': () => ({ body: withMeta({ finalizers: list(most + 1, (i) => `x.io/f${i}`) }), code: 413 }),
  'more fields than may have managers': () => ({
    body: { ...configMap('a', data(most)), binaryData: keys(most, (i) => [`b${i}`, '']) },
    code: 413,
  }),
  'more messages of protobuf than there may be values': () => ({
    type: 'application/vnd.kubernetes.protobuf',
    body: manyMessages(),
    code: 413,
  }),
  'a quarter of a million keys': () => ({ body: configMap('a', data(250_000)), code: 413 }),
  'as many keys as may be': () => ({ body: configMap('a', data(most)), code: 201 }),
  depth: () => ({ body: '{"a":'.repeat(500_000), code: 400 }),
  'a long list': () => ({
    body: pod('a', { containers: [{ name: 'c', image: 'b', args: list(60_000, () => 'x') }] }),
    path: '/api/v1/namespaces/default/pods',
    code: 201,
  }),
  'maps of maps': () => ({
    path: '/apis/apps/v1/namespaces/default/deployments',
    body: {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'a' },
      spec: {
        selector: { matchLabels: keys(15_000, (i) => [`k${i}`, 'v']) },
        template: {
          metadata: { labels: keys(15_000, (i) => [`k${i}`, 'v']) },
          spec: { nodeSelector: keys(15_000, (i) => [`k${i}`, 'v']), containers: [{ name: 'c', image: 'b' }] },
        },
      },
    },
    code: 201,
  }),
  'managed fields': () => ({
    body: withMeta({
      managedFields: list(2_000, (i) => ({
        manager: `m${i}`,
        operation: 'Update',
        apiVersion: 'v1',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': keys(10, (j) => [`f:a${i}-${j}`, {}]) },
      })),
    }),
    code: 201,
  }),
  'owner references': () => ({
    body: withMeta({ ownerReferences: list(12_000, (i) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: `o${i}`, uid: `u${i}` })) }),
    code: 201,
  }),
  finalizers: () => ({ body: withMeta({ finalizers: list(most, (i) => `x.io/f${i}`) }), code: 201 }),
  annotations: () => ({ body: withMeta({ annotations: keys(most, (i) => [`k${i}`, 'v']) }), code: 201 }),
  'annotations, too many': () => ({ body: withMeta({ annotations: keys(most, (i) => [`k ${i}`, 'v']) }), code: 422 }),
  'selectors with many values': () => ({
    path: '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
    body: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'a' },
      spec: { podSelector: { matchExpressions: list(600, (i) => ({ key: `k${i}`, operator: 'In', values: list(100, (j) => `v${j}`) })) } },
    },
    code: 201,
  }),
  'operations of a JSON patch': () => ({
    method: 'PATCH',
    path: `${maps}/small`,
    type: 'application/json-patch+json',
    body: list(10_000, (i) => ({ op: 'add', path: `/data/k${i}`, value: '' })),
    code: 200,
  }),
  'operations of a JSON patch that copy': () => ({
    method: 'PATCH',
    path: `${maps}/small`,
    type: 'application/json-patch+json',
    body: list(9_000, (i) => ({ op: 'copy', from: '/data', path: `/data/k${i}` })),
    code: 422,
  }),
  'an apply': () => ({
    method: 'PATCH',
    path: `${maps}/new?fieldManager=a&dryRun=All`,
    type: apply,
    body: configMap('new', data(most)),
    code: 201,
  }),
  'an update of what is large': () => ({
    method: 'PUT',
    path: `${maps}/large`,
    body: configMap(
      'large',
      keys(most, (i) => [`l${i}`, '']),
    ),
    code: 200,
  }),
  'a strategic merge into what is large': () => ({
    method: 'PATCH',
    path: `${maps}/large`,
    type: 'application/strategic-merge-patch+json',
    body: { data: keys(most, (i) => [`k${i}`, 'x']) },
    code: 200,
  }),
  'a schema with many rules': () => ({
    path: definitions,
    body: definition('rules', {
      schema: {
        type: 'object',
        properties: {
          spec: {
            type: 'object',
            properties: keys(2_000, (i) => [`p${i}`, { type: 'integer', 'x-kubernetes-validations': [{ rule: `self > ${i}` }] }]),
          },
        },
      },
    }),
    code: 201,
  }),
  'a large schema': () => ({
    path: definitions,
    body: definition('wide', {
      schema: {
        type: 'object',
        properties: { spec: { type: 'object', properties: keys(15_000, (i) => [`p${i}`, { type: 'string', pattern: `^${i}$` }]) } },
      },
    }),
    code: 201,
  }),
  'a schema as large as may be': () => ({
    path: definitions,
    body: definition('trees', {
      schema: { type: 'object', properties: { spec: { type: 'object', properties: keys(19, (i) => [`p${i}`, tree(3, i)]) } } },
    }),
    code: 201,
  }),
  'more members in YAML than one map may have': () => ({
    type: 'application/yaml',
    body: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n${list(60_000, (i) => `  k${i}: "x"\n`).join('')}`,
    code: 413,
  }),
  'keys in YAML': () => ({
    type: 'application/yaml',
    body: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n${list(most, (i) => `  k${i}: "x"\n`).join('')}`,
    code: 201,
  }),
  'anchors in YAML': () => ({
    type: 'application/yaml',
    body: `a: &a [x,x,x,x,x,x,x,x,x]\n${list(7, (i) => `${'bcdefgh'[i]}: &${'bcdefgh'[i]} [${list(9, () => `*${'abcdefg'[i]}`).join()}]`).join('\n')}\n`,
    code: 400,
  }),
  'flow lists in YAML': () => ({ type: 'application/yaml', body: `a: ${'['.repeat(200_000)}`, code: 400 }),
}

describe('a request of any shape leaves the server to others', () => {
  for (const [name, shape] of Object.entries(shapes)) {
    it(name, async (t) => {
      const { method = 'POST', path = maps, type = 'application/json', body, code } = shape()
      await meanwhile(t, async () => {
        const answer = await server.ask(method, path.includes('?') ? path : `${path}${rehearsal}`, body, { type })
        assert.equal(answer.code, code, answer.text.slice(0, 500))
        if (code >= 400) assert.equal(answer.body.kind, 'Status')
      })
    })
  }
})

describe('what is stored and changed, in any shape, leaves the server to others', () => {
  const as = (type: string) => ({ type: `application/${type}` })
  const fins = (word: string) => ({ ...withMeta({ name: 'fins', finalizers: list(most, (i) => `x.io/${word}${i}`) }) })
  /** Every step ends as it should. */
  const steps = async (t: TestContext, all: [method: string, path: string, body: unknown, type: string, code: number][]) => {
    for (const [method, path, body, type, code] of all)
      await meanwhile(t, async () => {
        const answer = await server.ask(method, path, body, as(type))
        assert.equal(answer.code, code, `${method} ${path}: ${answer.text.slice(0, 300)}`)
      })
  }

  it('keys', (t) =>
    steps(t, [
      ['PUT', `${maps}/large`, configMap('large', data(most)), 'json', 200],
      [
        'PUT',
        `${maps}/large`,
        configMap(
          'large',
          keys(most, (i) => [`l${i}`, '']),
        ),
        'json',
        200,
      ],
      ['PATCH', `${maps}/large`, { data: keys(most, (i) => [`l${i}`, 'y']) }, 'merge-patch+json', 200],
      [
        'PATCH',
        `${maps}/large?fieldManager=o&force=true`,
        configMap(
          'large',
          keys(most, (i) => [`l${i}`, 'z']),
        ),
        'apply-patch+yaml',
        200,
      ],
      ['PATCH', `${maps}/large?fieldManager=o&force=true`, configMap('large', { l1: 'z' }), 'apply-patch+yaml', 200],
      ['PATCH', `${maps}/large`, { data: data(most) }, 'strategic-merge-patch+json', 413],
      ['PATCH', `${maps}/large`, { data: { more: 'x', most: 'x', mast: 'x' } }, 'merge-patch+json', 200],
      ['PATCH', `${maps}/large`, { data: keys(most, (i) => [`l${i}`, null]) }, 'merge-patch+json', 200],
    ]))

  it('finalizers', (t) =>
    steps(t, [
      ['POST', maps, fins('f'), 'json', 201],
      ['PUT', `${maps}/fins`, fins('g'), 'json', 200],
      ['PATCH', `${maps}/fins`, { metadata: { finalizers: fins('h').metadata.finalizers } }, 'strategic-merge-patch+json', 413],
      ['DELETE', `${maps}/fins`, undefined, 'json', 200],
      ['DELETE', `${maps}/fins`, undefined, 'json', 200],
      ['PUT', `${maps}/fins`, fins('i'), 'json', 422],
      ['PATCH', `${maps}/fins`, { metadata: { finalizers: null } }, 'merge-patch+json', 200],
    ]))

  it('custom resources, which grow no further by patch after patch', async (t) => {
    const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
    assert.equal((await server.ask('POST', definitions, definition('opens', { schema: open }))).code, 201)
    const path = '/apis/example.com/v1/namespaces/default/opens'
    for (;;) if ((await server.ask('GET', path)).code === 200) break
    const one = { apiVersion: 'example.com/v1', kind: 'Open', metadata: { name: 'a' } }
    await steps(t, [
      ['POST', path, { ...one, spec: { a: data(most) } }, 'json', 201],
      ['PATCH', `${path}/a`, { spec: { b: data(3_000) } }, 'merge-patch+json', 200],
      ['PATCH', `${path}/a`, { spec: { c: data(15_000) } }, 'merge-patch+json', 413],
      ['PATCH', `${path}/a`, { spec: { c: list(60_000, () => 0) } }, 'merge-patch+json', 413],
      // Nor where nobody keeps account of its fields.
      ['PATCH', `${path}/a`, { metadata: { managedFields: [{}] } }, 'merge-patch+json', 200],
      ['PATCH', `${path}/a`, { spec: { c: data(15_000), d: data(15_000) } }, 'merge-patch+json', 200],
      ['PATCH', `${path}/a`, { spec: { e: data(most) } }, 'merge-patch+json', 413],
      ['DELETE', `${path}/a`, undefined, 'json', 200],
    ])
    const { body } = await server.ask('POST', path, { ...one, spec: { a: data(most + 1) } })
    assert.equal(body.message, `Request entity too large: spec.a has ${most + 1} members, limit is ${most}`)
  })

  it('a definition, and all that is told of it', (t) =>
    steps(t, [
      ['POST', definitions, shapes['a schema as large as may be']!().body, 'json', 201],
      ['PATCH', `${definitions}/trees.example.com`, { metadata: { labels: { a: 'b' } } }, 'merge-patch+json', 200],
      ['GET', '/openapi/v2', undefined, 'json', 200],
      ['GET', '/openapi/v3/apis/example.com/v1', undefined, 'json', 200],
      ['DELETE', `${definitions}/trees.example.com`, undefined, 'json', 200],
    ]))

  it('an object is sent back as it was got, with the managers of all its fields', async () => {
    const made = await server.ask('POST', maps, { ...configMap('whole', data(10_000)), binaryData: keys(9_000, (i) => [`b${i}`, 'eA==']) })
    assert.equal(made.code, 201, made.text.slice(0, 300))
    const back = await server.ask('PUT', `${maps}/whole`, { ...made.body, data: { ...made.body.data, k1: 'x' } })
    assert.equal(back.code, 200, back.text.slice(0, 300))
  })
})

describe('names that every object of the language has', () => {
  const odd = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']
  const texts = (values: (name: string) => string) => `{${odd.map((name) => `${JSON.stringify(name)}:${values(name)}`).join()}}`
  const stays = async () => assert.deepEqual((await server.tell()).stray, [])

  it('are keys like any other, in every way to write them', async () => {
    const all = texts((name) => JSON.stringify(`x${name}`))
    const want = JSON.parse(all)
    const sent = (name: string) => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"},"data":${all}}`
    assert.deepEqual((await server.ask('POST', maps, sent('odd'))).body.data, want)
    assert.deepEqual((await server.ask('PUT', `${maps}/odd`, sent('odd'))).body.data, want)
    const yaml = sent('odd-yaml')
    assert.deepEqual((await server.ask('POST', maps, `# YAML\n${yaml}`, { type: 'application/yaml' })).body.data, want)
    for (const type of ['application/merge-patch+json', 'application/strategic-merge-patch+json', apply]) {
      const name = `odd-${type.length}`
      if (type !== apply) await server.ask('POST', maps, configMap(name))
      const path = `${maps}/${name}${type === apply ? '?fieldManager=odd' : ''}`
      const answer = await server.ask('PATCH', path, type === apply ? sent(name) : `{"data":${all}}`, { type })
      assert.deepEqual(answer.body.data, want, type)
      assert.deepEqual((await server.ask('GET', `${maps}/${name}`)).body.data, want, type)
      const removed = await server.ask('PATCH', `${maps}/${name}`, `{"data":${texts(() => 'null')}}`, {
        type: 'application/merge-patch+json',
      })
      assert.deepEqual(removed.body.data, undefined, type)
    }
    const patch = odd.map((name) => ({ op: 'add', path: `/data/${name}`, value: `x${name}` }))
    await server.ask('POST', maps, configMap('odd-json', { a: 'b' }))
    const patched = await server.ask('PATCH', `${maps}/odd-json`, patch, { type: 'application/json-patch+json' })
    assert.deepEqual(patched.body.data, { a: 'b', ...want, ...JSON.parse('{"__proto__":"x__proto__"}') })
    await stays()
  })

  it('lead nowhere', async () => {
    const json = { type: 'application/json-patch+json' }
    for (const path of [
      '/__proto__/polluted',
      '/constructor/prototype/polluted',
      '/metadata/__proto__/polluted',
      '/data/constructor/prototype/polluted',
      '/data/__proto__/polluted',
    ]) {
      for (const op of ['add', 'replace', 'test', 'remove']) {
        const { code, body } = await server.ask('PATCH', `${maps}/small`, [{ op, path, value: 'x' }], json)
        assert.ok(code >= 400 && code < 500, `${op} ${path}: ${code}`)
        assert.equal(body.kind, 'Status')
      }
      const moved = await server.ask('PATCH', `${maps}/small`, [{ op: 'copy', from: path, path: '/data/x' }], json)
      assert.ok(moved.code >= 400 && moved.code < 500, `${path}: ${moved.code}`)
    }
    for (const type of ['application/merge-patch+json', 'application/strategic-merge-patch+json']) {
      const text =
        '{"__proto__":{"polluted":1},"metadata":{"__proto__":{"polluted":1},"labels":{"__proto__":null}},"constructor":{"prototype":{"polluted":1}}}'
      assert.equal((await server.ask('PATCH', `${maps}/small`, text, { type })).code, 200)
    }
    await stays()
  })

  it('are no labels and annotations but by the rules', async () => {
    for (const field of ['labels', 'annotations']) {
      const { code, text } = await server.ask(
        'POST',
        maps,
        `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"l-${field}","${field}":${texts(() => '"v"')}}}`,
      )
      // A label may not begin with an underscore.
      assert.equal(code, 422, text)
      const rest = texts(() => '"v"').replace('"__proto__":"v",', '')
      const good = await server.ask(
        'POST',
        maps,
        `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"l-${field}","${field}":${rest}}}`,
      )
      assert.deepEqual(good.body.metadata[field], JSON.parse(rest))
    }
    assert.equal((await server.ask('GET', `${maps}?labelSelector=constructor`)).body.items.length, 1)
    assert.equal((await server.ask('GET', `${maps}?labelSelector=valueOf`)).body.items.length, 0)
    for (const name of odd) {
      assert.equal((await server.ask('GET', `${maps}?fieldSelector=${name}%3Dx`)).code, 400)
      assert.equal((await server.ask('GET', `/api/v1/${name}`)).code, 404)
      assert.equal((await server.ask('GET', `/apis/${name}/v1/${name}`)).code, 404)
      assert.equal((await server.ask('GET', `/${name}`)).code, 404)
    }
    await stays()
  })

  it('are managed as others', async () => {
    const fields = '{"f:data":{"f:__proto__":{},"f:constructor":{}},"f:__proto__":{"f:polluted":{}}}'
    const managed = `[{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":${fields}}]`
    const sent = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"managed","managedFields":${managed}},"data":${texts(() => '"a"')}}`
    const { code, body } = await server.ask('POST', maps, sent)
    assert.equal(code, 201)
    assert.ok(JSON.stringify(body.metadata.managedFields).includes('f:__proto__'))
    await stays()
  })

  it('are properties of custom resources', async () => {
    const properties = texts(() => '{"type":"string","default":"d"}')
    const schema = JSON.parse(`{"type":"object","properties":{"spec":{"type":"object","default":{},"properties":${properties}}}}`)
    const made = await server.ask('POST', definitions, definition('oddities', { schema }))
    assert.equal(made.code, 201, made.text)
    const path = '/apis/example.com/v1/namespaces/default/oddities'
    for (;;) if ((await server.ask('GET', path)).code === 200) break
    const { body } = await server.ask('POST', path, {
      apiVersion: 'example.com/v1',
      kind: made.body.spec.names.kind,
      metadata: { name: 'a' },
    })
    assert.deepEqual(body.spec, JSON.parse(texts(() => '"d"')))
    await stays()
  })
})

describe('expressions that could take for ever', () => {
  it('as patterns of a schema', async (t) => {
    const schema = {
      type: 'object',
      properties: {
        spec: {
          type: 'object',
          properties: { a: { type: 'string', pattern: '^(a+)+$' }, b: { type: 'string', pattern: '^(([a-z])+.)+[A-Z]([a-z])+$' } },
        },
      },
    }
    assert.equal((await server.ask('POST', definitions, definition('slows', { schema }))).code, 201)
    const path = '/apis/example.com/v1/namespaces/default/slows'
    for (;;) if ((await server.ask('GET', path)).code === 200) break
    await meanwhile(t, async () => {
      for (const spec of [{ a: `${'a'.repeat(50_000)}!` }, { b: 'a'.repeat(50_000) }]) {
        const { code, body } = await server.ask('POST', path, { apiVersion: 'example.com/v1', kind: 'Slow', metadata: { name: 'a' }, spec })
        assert.equal(code, 422)
        assert.match(body.message, /should match/)
      }
    })
  })

  it('as rules', async (t) => {
    const props = (rule: string, a: Json = { type: 'array', items: { type: 'string' } }) => ({
      type: 'object',
      properties: { spec: { type: 'object', properties: { a }, 'x-kubernetes-validations': [{ rule }] } },
    })
    await meanwhile(t, async () => {
      for (const rule of [
        'self.a.all(x, self.a.all(y, self.a.all(z, x + y + z != "")))',
        `${'('.repeat(5000)}true${')'.repeat(5000)}`,
        `${'!'.repeat(100_000)}true`,
        'self.constructor == 1',
        'self.__proto__ == 1',
      ]) {
        const { code, body } = await server.ask('POST', `${definitions}${rehearsal}`, definition('ruled', { schema: props(rule) }))
        assert.equal(code, 422, rule.slice(0, 80))
        assert.equal(body.kind, 'Status')
      }
    })
  })
})

describe('bytes that are none of ours', () => {
  const refused = async (method: string, path: string, codes: number[], body?: unknown, ask = {}) => {
    const { code, body: said } = await server.ask(method, path, body, ask)
    assert.ok(codes.includes(code), `${method} ${path.slice(0, 100)}: ${code} ${JSON.stringify(said).slice(0, 300)}`)
    assert.equal(said.kind, 'Status', path.slice(0, 100))
    assert.ok(JSON.stringify(said).length < 200_000, 'an answer far longer than what was asked')
  }

  it('in a path', async () => {
    for (const path of [
      '/api/v1/namespaces/%ff/pods',
      '/api/v1/namespaces/default/configmaps/%00',
      '/api/v1/namespaces/default/configmaps/a%2fb',
      '/api/v1/namespaces/default%2f..%2fkube-system/secrets/x',
      '/api/v1//namespaces/default',
      '//api/v1/pods',
      '/api/v1/namespaces/default/configmaps/%',
      '/api/v1/namespaces/default/configmaps/%zz',
      `/api/v1/namespaces/${'a'.repeat(30_000)}/pods/x`,
      `/${'a/'.repeat(15_000)}`,
      '/api/v1/namespaces/../../../etc/passwd',
    ])
      await refused('GET', path, [400, 403, 404])
    // Nothing is created under a name that is another path.
    for (const name of ['a/b', '..', '.', 'a\0', '%2f', 'a\u2028']) await refused('POST', maps, [422], configMap(name))
  })

  it('in a query', async () => {
    for (const query of [
      'labelSelector=%ff%fe',
      'labelSelector=a%00b',
      'fieldSelector=%00',
      'limit=1e9',
      'limit=9999999999999999999',
      'resourceVersion=-1',
      'resourceVersion=%00',
      'continue=%ff',
      'continue=e30',
      'timeoutSeconds=x',
      'dryRun=None&x=',
    ])
      if ((await server.ask('GET', `${maps}?${query}`)).code !== 200) await refused('GET', `${maps}?${query}`, [400, 410])
    const terms = list(300, (i) => `a${i}!=b`).join()
    await refused('GET', `${maps}?labelSelector=${terms}`, [400])
    await refused('GET', `${maps}?fieldSelector=${list(300, (i) => `metadata.name!=b${i}`).join()}`, [400])
    const { code } = await server.ask('GET', `${maps}?labelSelector=a%20in%20(${list(5000, (i) => `v${i}`).join()})`)
    assert.equal(code, 200)
    await refused('GET', `${maps}?labelSelector=${'('.repeat(50_000)}`, [400])
    await refused('GET', `${maps}?labelSelector=${'a'.repeat(50_000)}`, [400])
  })

  it('in a body', async () => {
    // As Go's decoder does, what is no character becomes U+FFFD; then the rules speak.
    const odd = Buffer.from('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a\xff"}}', 'latin1')
    await refused('POST', maps, [400, 422], odd)
    await refused('POST', maps, [400], Buffer.from('\xff\xfe{}', 'latin1'))
    await refused('POST', maps, [400], Buffer.from('kind: \xff', 'latin1'), { type: 'application/yaml' })
    await refused('POST', maps, [400], Buffer.from('k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff', 'latin1'), {
      type: 'application/vnd.kubernetes.protobuf',
    })
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'application/jsonx',
      '*/*',
      ';',
      `application/${'x'.repeat(10_000)}`,
    ])
      await refused('POST', maps, [415], configMap('a'), { type })
    for (const type of ['application/json', 'text/plain', 'application/xml']) await refused('PATCH', `${maps}/small`, [415], {}, { type })
  })

  it('in a body that is compressed', async (t) => {
    const bomb = gzipSync(Buffer.alloc(100 * 1024 * 1024))
    await meanwhile(t, async () => {
      await refused('POST', maps, [400, 415], gzipSync(JSON.stringify(configMap('zipped'))), { headers: { 'content-encoding': 'gzip' } })
      await refused('POST', maps, [400, 415], bomb, { headers: { 'content-encoding': 'gzip' } })
    })
  })

  it('in a body that does not end', async (t) => {
    await meanwhile(t, async () => {
      await refused('POST', maps, [413], Buffer.alloc(4 * 1024 * 1024, 0x20))
      await refused('POST', maps, [400], Buffer.alloc(3 * 1024 * 1024, 0x20))
      await refused('POST', maps, [400], Buffer.alloc(3 * 1024 * 1024, 0x22))
    })
  })
})

/** A connection on which whole frames are written by hand. */
async function raw(): Promise<TLSSocket & { frame(type: number, flags: number, stream: number, payload?: Buffer): boolean }> {
  const { port, ca, cert, key } = server.hello
  const socket = connectTls({ host: '127.0.0.1', port, ca, cert, key, ALPNProtocols: ['h2'] })
  socket.on('error', () => {})
  socket.resume()
  await once(socket, 'secureConnect')
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  const frame = (type: number, flags: number, stream: number, payload = Buffer.alloc(0)) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head[3] = type
    head[4] = flags
    head.writeUInt32BE(stream, 5)
    return socket.destroyed ? false : socket.write(Buffer.concat([head, payload]))
  }
  frame(4, 0, 0)
  return Object.assign(socket, { frame })
}

describe('floods of HTTP/2', () => {
  /** In bytes: what a server of this size may have grown by in all of a flood, once that is over. */
  const mostKept = 24 * 1024 * 1024
  const survives = async (t: TestContext, work: () => Promise<unknown>) => {
    const before = (await server.tell()).heap
    // As many streams as a connection may have can begin in one turn.
    await meanwhile(t, work, 2 * mostHeld)
    const { heap } = await server.tell()
    t.diagnostic(`the heap grew by ${((heap - before) / 1024).toFixed(0)} kB`)
    assert.ok(heap - before < mostKept, `${before} → ${heap} bytes`)
  }
  /** Until the server ends the connection, or all was sent. */
  const flood = async (times: number, send: (socket: Awaited<ReturnType<typeof raw>>, i: number) => void) => {
    const socket = await raw()
    const ended = new Promise((resolve) => socket.once('close', resolve))
    for (let i = 0; i < times && !socket.destroyed; i += 1) {
      send(socket, i)
      if (i % 500 === 499) await new Promise(setImmediate)
    }
    socket.destroy()
    await ended
  }

  it('streams that are reset at once', (t) =>
    survives(t, async () => {
      for (let connection = 0; connection < 3; connection += 1) {
        const session = server.connect()
        await once(session, 'connect')
        for (let i = 0; i < 3000 && !session.destroyed && !session.closed; i += 1) {
          const stream = session.request({ ':path': `${maps}?watch=true` })
          stream.on('error', () => {})
          stream.close(constants.NGHTTP2_CANCEL)
          if (i % 100 === 99) await new Promise(setImmediate)
        }
        session.destroy()
      }
    }))

  it('more streams than may be, with bodies that never come', (t) =>
    survives(t, async () => {
      const session = server.connect()
      await once(session, 'remoteSettings')
      for (let i = 0; i < 3000 && !session.destroyed; i += 1)
        session.request({ ':method': 'POST', ':path': maps, 'content-type': 'application/json' }).on('error', () => {})
      assert.equal((await server.ask('GET', `${maps}/small`)).code, 200)
      session.destroy()
    }))

  it('pings and settings', (t) =>
    survives(t, async () => {
      await flood(20_000, (socket) => socket.frame(6, 0, 0, Buffer.alloc(8)))
      await flood(20_000, (socket) => socket.frame(4, 0, 0, Buffer.from([0, 4, 0, 1, 0, 0])))
    }))

  it('headers that go on and on', (t) =>
    survives(t, async () => {
      // A literal of 16,000 bytes that is not indexed; the block has no end.
      const literal = Buffer.concat([Buffer.from([0, 1, 0x78, 0x7f, 0x81, 0x7c]), Buffer.alloc(16_000, 0x61)])
      await flood(2000, (socket, i) => socket.frame(i === 0 ? 1 : 9, 0, 1, literal))
      await flood(20_000, (socket, i) => socket.frame(i === 0 ? 1 : 9, 0, 1))
    }))

  it('headers that are too large', (t) =>
    survives(t, async () => {
      const session = server.connect()
      const stream = session.request({ ':path': maps, 'x-large': 'x'.repeat(60_000), 'x-larger': 'x'.repeat(60_000) })
      const status = await new Promise<unknown>((resolve) => {
        stream.once('response', (headers) => resolve(headers[':status']))
        stream.once('error', () => resolve('refused'))
      })
      assert.ok(status === 'refused' || status === 431, String(status))
      session.destroy()
    }))

  it('frames that are empty, or of no kind', (t) =>
    survives(t, async () => {
      await flood(20_000, (socket, i) =>
        socket.frame(i === 0 ? 1 : 0, i === 0 ? 4 : 0, 1, i === 0 ? Buffer.from([0x82, 0x87, 0x84]) : undefined),
      )
      await flood(20_000, (socket) => socket.frame(0xfa, 0, 0, Buffer.alloc(16)))
      await flood(20_000, (socket) => socket.frame(2, 0, 3, Buffer.from([0, 0, 0, 1, 5])))
    }))
})
