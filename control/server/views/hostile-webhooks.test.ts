// Admission webhooks that mean harm or are broken: what they cannot do, and what becomes of the request.

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { patching, type WebhookServer } from '#control/extensions/webhook.fake.ts'
import { definition, establish } from '../custom/resources.fake.ts'
import { configMap, type Json, pod, type Trial } from '../testing/trial.fake.ts'
import { about, type Hooked, hooked, maps, pods } from './webhooks.fake.ts'

describe('hostile admission webhooks', () => {
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

  const doubling = (times: number): Json => [
    { op: 'add', path: '/data', value: { a: 'x'.repeat(100) } },
    ...Array.from({ length: times }, (_, i) => ({ op: 'copy', from: '/data', path: `/data/${i}` })),
  ]
  const patches: [what: string, patch: Json, why: RegExp][] = [
    [
      'of what is not there',
      [{ op: 'remove', path: '/data/none' }],
      /remove operation does not apply: doc is missing path: "\/data\/none"/,
    ],
    ['into another kind', [{ op: 'replace', path: '/kind', value: 'Secret' }], /it makes another kind of object/],
    ['into the wrong types', [{ op: 'add', path: '/data', value: ['x'] }], /cannot unmarshal array/],
    ['that is no list', { op: 'remove' }, /a JSON patch is a list/],
    ['through a prototype', [{ op: 'add', path: '/__proto__/x', value: 1 }], /doc is missing path: "\/__proto__\/x"/],
    ['that doubles', doubling(20), /the accumulated size increase of copy is \d+, exceeding the limit 3145728/],
    ['without bottom', '['.repeat(100_000) + ']'.repeat(100_000), /: json: exceeded max depth$/],
    ['that is cut off', '[{"op":"add"', /: it is no JSON: /],
  ]
  for (const [what, patch, why] of patches) {
    it(`are refused a patch ${what}`, async () => {
      await mutate('broken', { failurePolicy: 'Ignore' })
      hooks.decide.set('/broken0', () => patching(patch))
      const { code, body } = await server.ask('POST', maps, configMap('one'))
      assert.deepEqual([code, body.reason], [500, 'InternalError'])
      assert.match(body.message, /^Internal error occurred: the patch of admission webhook "h0\.broken\.example\.com" cannot be used: /)
      assert.match(body.message, why)
      assert.equal((await server.ask('GET', `${maps}/one`)).code, 404)
    })
  }

  it('that are slow hold up nobody else, and each other not either', async () => {
    const held: (() => void)[] = []
    const { promise: both, resolve } = Promise.withResolvers<void>()
    await validate('slow', {}, {})
    for (const path of ['/slow0', '/slow1'])
      hooks.serve.set(path, (response) => {
        const { uid } = hooks.asked.find((each) => each.path.startsWith(path))?.request ?? {}
        const answer = { kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', response: { uid, allowed: true } }
        if (held.push(() => response.end(JSON.stringify(answer))) === 2) resolve()
      })
    const slow = server.ask('POST', maps, configMap('slow'))
    await both
    assert.equal((await server.ask('POST', pods, pod('quick'))).code, 201)
    assert.equal((await server.ask('GET', `${maps}/slow`)).code, 404)
    for (const release of held) release()
    assert.equal((await slow).code, 201)
  })

  it('make nothing that is too large to keep', async () => {
    await establish(server, definition('hats', { schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }))
    await mutate('large', { rules: [about(['hats'], ['*'], ['example.com'])] })
    hooks.decide.set('/large0', () => patching([{ op: 'add', path: '/spec', value: 'x'.repeat(4_000_000) }]))
    const hats = '/apis/example.com/v1/namespaces/test/hats'
    const hat = { apiVersion: 'example.com/v1', kind: 'Hat', metadata: { name: 'a' } }
    for (const path of [hats, `${hats}?dryRun=All`]) {
      const { code, body } = await server.ask('POST', path, hat)
      assert.deepEqual([code, body.reason], [413, 'RequestEntityTooLarge'])
      assert.match(body.message, /^Request entity too large: Hat "a" would take 4000\d{3} bytes, limit is 3145728$/)
    }
    hooks.decide.clear()
    assert.equal((await server.ask('POST', hats, hat)).code, 201, 'it was not made')
  })

  it('bring an object into no other place', async () => {
    await mutate('moves', { rules: [about(['configmaps'], ['*'])] })
    hooks.decide.set('/moves0', () => patching([{ op: 'replace', path: '/metadata/namespace', value: 'default' }]))
    const { code, body } = await server.ask('POST', maps, configMap('one'))
    assert.deepEqual([code, body.reason], [400, 'BadRequest'])
    assert.match(body.message, /namespace of the provided object does not match .*: expected test, got default$/)
    hooks.decide.set('/moves0', () => patching([{ op: 'replace', path: '/metadata/name', value: '../other' }]))
    assert.equal((await server.ask('POST', maps, configMap('one'))).code, 422)
  })

  it('write no books into the log or the answer', async () => {
    await validate('long', {})
    const long = 'x'.repeat(1_000_000)
    const auditAnnotations = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`a${i}`, long.slice(0, 20_000)]))
    const details = { causes: [{ message: long }] }
    hooks.decide.set('/long0', () => ({ allowed: false, auditAnnotations, status: { code: 403, message: long, reason: long, details } }))
    const { code, body, text } = await server.ask('POST', maps, configMap('one'))
    assert.equal(code, 403)
    assert.match(body.message, /denied the request: x{10240}…$/)
    assert.ok(text.length < 40_000, `${text.length}`)
    const [{ annotations }] = world.audited as [Json]
    assert.equal(Object.keys(annotations).length, 64)
    assert.ok(JSON.stringify(annotations).length < 64 * 11_000)
  })

  it('write no headers', async () => {
    await validate('headers', {})
    hooks.decide.set('/headers0', () => ({ allowed: true, warnings: ['a\r\nSet-Cookie: b=c', 'say "\u0000"'] }))
    const { code, headers } = await server.ask('POST', maps, configMap('one'))
    assert.deepEqual(
      [code, headers.get('set-cookie'), headers.get('warning')],
      [201, null, '299 - "a  Set-Cookie: b=c", 299 - "say \\" \\""'],
    )
  })

  const failure = async (webhook: Json): Promise<string> => {
    await validate('bad', webhook)
    const { code, body } = await server.ask('POST', maps, configMap('one'))
    assert.deepEqual([code, body.reason], [500, 'InternalError'])
    const prefix = 'Internal error occurred: failed calling webhook "h0.bad.example.com": '
    assert.ok(body.message.startsWith(prefix), body.message)
    return body.message.slice(prefix.length)
  }
  const post = () => `failed to call webhook: Post "${hooks.url('/bad0?timeout=10s')}": `

  it('with garbage', async () => {
    hooks.serve.set('/bad0', (response) => response.end('<html>'))
    assert.match(await failure({}), /did not answer with JSON/)
  })
  it('with the answer to another question', async () => {
    hooks.decide.set('/bad0', () => ({ uid: 'other', allowed: true }))
    assert.match(await failure({}), /^received invalid webhook response: expected response\.uid="[0-9a-f-]+", got "other"$/)
  })
  it('with no answer in it', async () => {
    hooks.serve.set('/bad0', (response) => response.end('{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}'))
    assert.equal(await failure({}), 'received invalid webhook response: webhook response was absent')
  })
  it('by changing what they may only judge', async () => {
    hooks.decide.set('/bad0', () => patching([]))
    assert.equal(await failure({}), 'received invalid webhook response: validating webhook may not return response.patch')
  })
  it('under a certificate of an authority that nobody named', async () => {
    const why = await failure({ clientConfig: { url: hooks.url('/bad0') } })
    assert.equal(why, `${post()}tls: failed to verify certificate: x509: certificate signed by unknown authority`)
  })
  it('under another name', async () => {
    const clientConfig = { url: `https://localhost.localdomain:${hooks.port}/bad0`, caBundle: hooks.caBundle }
    assert.match(await failure({ clientConfig }), /certificate is valid for .*127\.0\.0\.1.*, not localhost\.localdomain$|no such host$/)
  })
  it('or are not there', async () => {
    assert.equal(
      await failure({ clientConfig: { url: 'https://127.0.0.1:1/bad0' } }),
      'failed to call webhook: Post "https://127.0.0.1:1/bad0?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused',
    )
  })
  it('are passed over where their policy says so', async () => {
    hooks.serve.set('/bad0', (response) => response.end('garbage'))
    await validate('bad', { failurePolicy: 'Ignore' })
    assert.equal((await server.ask('POST', maps, configMap('one'))).code, 201)
  })
})
