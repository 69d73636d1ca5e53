// A request that changes nothing writes nothing: whoever applies what is there already, over and over,
// wakes nobody up.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { after, before, it } from 'node:test'
import { parseYamlDocuments } from '#api/yaml/yaml.ts'
import { definition, establish } from '../custom/resources.fake.ts'
import { type Json, type Trial, trial } from '../testing/trial.fake.ts'

let server: Trial
before(async () => {
  server = await trial()
})
after(() => server.close())

const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
}
const bookkeeping = ({ metadata }: Json) => ({
  version: metadata.resourceVersion,
  generation: metadata.generation,
  managed: metadata.managedFields,
})

/** Every way to say of the object at `path` what is true already. `applied`: what was applied to make it. */
async function repeat(path: string, plural: string, { applied, custom }: { applied: Json; custom?: boolean }): Promise<void> {
  const there = await atRest(path)
  const expected = bookkeeping(there)
  const check = async (what: string, answer: { code: number; body: Json; text: string }) => {
    assert.equal(answer.code, 200, `${what} ${path}: ${answer.text}`)
    assert.deepEqual(bookkeeping((await server.ask('GET', path)).body), expected, `${what} ${path}`)
  }
  const send = (method: string, at: string, body: unknown, type?: string) => {
    // A second later, as the times in managedFields count.
    server.clock.advance(1000)
    return server.ask(method, at, body, type ? { headers: { 'content-type': type } } : {})
  }
  const resource = server.core.resources.at(there.apiVersion, plural)!
  const { verbs, spec } = resource
  for (const at of [path, ...(spec.status ? [`${path}/status`] : []), ...(spec.scale ? [`${path}/scale`] : [])]) {
    const body = at.endsWith('/scale') ? (await server.ask('GET', at)).body : there
    if (verbs.includes('update')) await check('PUT', await send('PUT', at, body))
    if (!verbs.includes('patch')) continue
    for (const [name, type] of Object.entries(patchTypes)) {
      if (name === 'strategic' && custom) continue
      await check(`${name} patch of`, await send('PATCH', at, name === 'json' ? [] : {}, type))
    }
    await check('whole merge patch of', await send('PATCH', at, { ...body, metadata: {} }, patchTypes.merge))
  }
  if (!verbs.includes('patch')) return
  for (const twice of [1, 2]) {
    await check(`apply ${twice} of`, await send('PATCH', `${path}?fieldManager=applier`, applied, 'application/apply-patch+yaml'))
  }
}

/** Once the server itself has said of it what it has to say. */
async function atRest(path: string): Promise<Json> {
  for (let last: Json; ; ) {
    await server.clock.advance(5000)
    const { body } = await server.ask('GET', path)
    if (body.metadata.resourceVersion === last?.metadata.resourceVersion) return body
    last = body
  }
}

const apply = (path: string, object: Json) =>
  server.ask('PATCH', `${path}?fieldManager=applier&force=true`, object, { headers: { 'content-type': 'application/apply-patch+yaml' } })

it('of built-in kinds', async () => {
  const text = await readFile(resolve(import.meta.dirname, 'kinds.fixture.yaml'), 'utf8')
  let seen = 0
  for (const object of parseYamlDocuments(text.replaceAll('NAMESPACE', 'test')) as Json[]) {
    const { apiVersion, kind, metadata } = object
    const resource = server.core.resources.named(apiVersion, kind)
    if (!resource?.verbs.includes('create') || !resource.verbs.includes('get') || !metadata.name) continue
    const { plural, namespaced } = resource.kind
    const root = `/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}`
    const path = `${root}${namespaced ? `/namespaces/${(metadata.namespace ??= 'test')}` : ''}/${plural}/${metadata.name}`
    const made = resource.verbs.includes('patch')
      ? await apply(path, object)
      : await server.ask('POST', path.slice(0, path.lastIndexOf('/')), object)
    assert.ok(made.code < 300, `${path}: ${made.text}`)
    await repeat(path, plural, { applied: object })
    seen += 1
  }
  assert.ok(seen > 30, `${seen} kinds`)
})

it('of custom resources, in each of their versions', async () => {
  const properties = {
    spec: {
      type: 'object',
      properties: {
        replicas: { type: 'integer', default: 1 },
        name: { type: 'string' },
        list: { type: 'array', items: { type: 'string' } },
      },
    },
    status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  }
  const version = (name: string, storage: boolean) => ({
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema: { type: 'object', properties } },
    subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } },
  })
  await establish(server, definition('gadgets', { versions: [version('v1', true), version('v1beta1', false)] }))
  for (const made of ['v1', 'v1beta1']) {
    const object = {
      apiVersion: `example.com/${made}`,
      kind: 'Gadget',
      metadata: { name: `made-in-${made}` },
      spec: { name: 'x', list: ['a'] },
    }
    const at = (v: string) => `/apis/example.com/${v}/namespaces/test/gadgets/made-in-${made}`
    assert.equal((await apply(at(made), object)).code, 201)
    const status = { status: { replicas: 2, phase: 'Ready' } }
    assert.equal((await server.ask('PATCH', `${at(made)}/status`, status, { headers: { 'content-type': patchTypes.merge } })).code, 200)
    for (const seen of ['v1', 'v1beta1']) {
      // The first to apply in another version takes over its fields under that version's name.
      await apply(at(seen), { ...object, apiVersion: `example.com/${seen}` })
      await repeat(at(seen), 'gadgets', { applied: { ...object, apiVersion: `example.com/${seen}` }, custom: true })
    }
  }
})
