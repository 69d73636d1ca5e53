// The forms in which the server speaks and is spoken to, and what it says of itself.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { type Json, testServer } from './server.ts'

const { ask } = await testServer()
const maps = '/api/v1/namespaces/default/configmaps'
const fixtures = resolve(import.meta.dirname, '../../api/schema/fixtures')
const protobuf = 'application/vnd.kubernetes.protobuf'

before(async () => {
  const data = { big: 'x'.repeat(200_000) }
  await ask('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'big', labels: { a: 'b' } }, data })
})

describe('Accept', () => {
  const get = (accept: string, path = `${maps}/big`) => ask('GET', path, undefined, { accept })

  it('JSON, by its name, by anything, and by default', async () => {
    for (const accept of ['application/json', '*/*', 'application/*', 'text/html,*/*;q=0.1', `application/json,${protobuf}`]) {
      const { code, headers, body } = await get(accept)
      assert.deepEqual([accept, code, headers['content-type'], body.kind], [accept, 200, 'application/json', 'ConfigMap'])
    }
  })

  it('YAML', async () => {
    const { headers, text } = await get('application/yaml', '/api/v1/namespaces/default')
    assert.equal(headers['content-type'], 'application/yaml')
    assert.match(text, /^kind: Namespace$/m)
  })

  it('protobuf, where it is asked for first', async () => {
    const { code, headers } = await get(`${protobuf},application/json`)
    assert.deepEqual([code, headers['content-type']], [200, protobuf])
  })

  it('what nobody speaks is 406, in a Status', async () => {
    for (const accept of ['text/html', 'application/json;as=Nothing;v=v9;g=x']) {
      const { code, body } = await get(accept)
      assert.deepEqual([accept, code, body.kind, body.reason], [accept, 406, 'Status', 'NotAcceptable'])
    }
  })

  it('metadata alone, of one and of a list', async () => {
    const one = await get('application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io')
    assert.deepEqual([one.body.kind, one.body.apiVersion, one.body.metadata.name], ['PartialObjectMetadata', 'meta.k8s.io/v1', 'big'])
    assert.equal(one.body.data, undefined)
    const list = await get('application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io', maps)
    assert.equal(list.body.kind, 'PartialObjectMetadataList')
    assert.ok(list.body.metadata.resourceVersion)
    assert.ok(list.body.items.every((o: Json) => o.metadata.name && !o.data))
  })

  it('a table, with as much of the object as is asked for', async () => {
    const table = 'application/json;as=Table;v=v1;g=meta.k8s.io'
    const { body } = await get(table, maps)
    assert.deepEqual([body.kind, body.apiVersion], ['Table', 'meta.k8s.io/v1'])
    assert.deepEqual(
      body.columnDefinitions.map((c: Json) => c.name),
      ['Name', 'Data', 'Age'],
    )
    const row = body.rows.find((r: Json) => r.cells[0] === 'big')
    assert.deepEqual([row.cells[1], row.object.kind, row.object.metadata.labels], [1, 'PartialObjectMetadata', { a: 'b' }])
    assert.equal((await get(table, `${maps}?includeObject=Object`)).body.rows[0].object.kind, 'ConfigMap')
    assert.equal((await get(table, `${maps}?includeObject=None`)).body.rows[0].object ?? null, null)
  })
})

describe('bodies', () => {
  it('are JSON, YAML or protobuf; others are 415, in a Status', async () => {
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-yaml}\ndata: {a: b}\n'
    assert.equal((await ask('POST', maps, yaml, { 'content-type': 'application/yaml' })).code, 201)
    const { code, body } = await ask('POST', maps, 'a=b', { 'content-type': 'application/x-www-form-urlencoded' })
    assert.deepEqual([code, body.kind, body.reason], [415, 'Status', 'UnsupportedMediaType'])
  })

  it('in protobuf are taken as what their JSON says', async () => {
    for (const [name, path] of [
      ['core.v1.ConfigMap', '/api/v1/namespaces/NS/configmaps'],
      ['core.v1.Service', '/api/v1/namespaces/NS/services'],
      ['apps.v1.Deployment', '/apis/apps/v1/namespaces/NS/deployments'],
    ] as const) {
      const [wire, json] = await Promise.all([readFile(join(fixtures, `${name}.pb`)), readFile(join(fixtures, `${name}.json`), 'utf8')])
      const namespace = JSON.parse(json).metadata.namespace ?? 'default'
      const to = `${path.replace('NS', namespace)}?dryRun=All`
      const post = async (body: string | Uint8Array, type: string) => {
        const { code, body: answer } = await ask('POST', to, body, {
          'content-type': type,
          'content-length': String(Buffer.byteLength(body)),
        })
        const of = { ...answer.metadata, uid: '', creationTimestamp: '', managedFields: [] }
        return { code, ...answer, metadata: of }
      }
      assert.deepEqual(await post(wire, protobuf), await post(json, 'application/json'), name)
    }
  })
})

describe('coracle decode', () => {
  it('prints every vector as its JSON, key for key', async () => {
    const files = (await readdir(fixtures)).filter((file) => file.endsWith('.pb'))
    assert.ok(files.length >= 6)
    const coracle = resolve(import.meta.dirname, '../../bin/coracle')
    for (const file of files) {
      const { stdout } = await promisify(execFile)(coracle, ['decode', join(fixtures, file)])
      const wanted = JSON.parse(await readFile(join(fixtures, file.replace('.pb', '.json')), 'utf8'))
      assert.deepEqual(JSON.parse(stdout), wanted, file)
    }
  })
})

describe('gzip', () => {
  it('for large answers to those who take it', async () => {
    const large = await ask('GET', maps, undefined, { 'accept-encoding': 'gzip' })
    assert.equal(large.headers['content-encoding'], 'gzip')
    assert.equal(JSON.parse(gunzipSync(large.bytes).toString()).kind, 'ConfigMapList')
    assert.ok(large.bytes.length < 20_000)
    assert.equal(
      (await ask('GET', '/api/v1/namespaces/default', undefined, { 'accept-encoding': 'gzip' })).headers['content-encoding'],
      undefined,
    )
    assert.equal((await ask('GET', maps)).headers['content-encoding'], undefined)
  })
})

describe('OpenAPI and discovery', () => {
  it('v3: hashed addresses that never change, and tags', async () => {
    const { body } = await ask('GET', '/openapi/v3')
    const { serverRelativeURL } = body.paths['apis/apps/v1']
    assert.match(serverRelativeURL, /^\/openapi\/v3\/apis\/apps\/v1\?hash=\w+/)
    const { headers, body: document } = await ask('GET', serverRelativeURL)
    assert.match(String(headers['cache-control']), /immutable/)
    const again = await ask('GET', serverRelativeURL, undefined, { 'if-none-match': String(headers['etag']) })
    assert.deepEqual([again.code, again.text], [304, ''])
    const put = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].put
    assert.equal(put['x-kubernetes-action'], 'put')
    assert.deepEqual(put['x-kubernetes-group-version-kind'], { group: 'apps', version: 'v1', kind: 'Deployment' })
    const { properties } = document.components.schemas['io.k8s.api.apps.v1.DeploymentSpec']
    assert.ok(properties.replicas.description.length > 20, 'descriptions for kubectl explain')
    // A hash of yesterday leads to today's.
    assert.equal((await ask('GET', '/openapi/v3/apis/apps/v1?hash=OLD')).code, 301)
  })

  it('v2 has a tag, too', async () => {
    const { headers } = await ask('GET', '/openapi/v2', undefined, { accept: 'application/json' })
    assert.equal(
      (await ask('GET', '/openapi/v2', undefined, { accept: 'application/json', 'if-none-match': String(headers['etag']) })).code,
      304,
    )
  })

  it('discovery, of old and aggregated', async () => {
    assert.deepEqual((await ask('GET', '/api')).body.versions, ['v1'])
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
    const { body, headers } = await ask('GET', '/apis', undefined, { accept })
    assert.equal(body.kind, 'APIGroupDiscoveryList')
    const apps = body.items.find((g: Json) => g.metadata.name === 'apps')
    const deployments = apps.versions[0].resources.find((r: Json) => r.resource === 'deployments')
    assert.deepEqual(deployments.shortNames, ['deploy'])
    assert.deepEqual(
      deployments.subresources.map((s: Json) => s.subresource),
      ['scale', 'status'],
    )
    assert.equal((await ask('GET', '/apis', undefined, { accept, 'if-none-match': String(headers['etag']) })).code, 304)
    assert.equal((await ask('GET', '/apis/none/v1')).code, 404)
  })
})

describe('what the server says of itself', () => {
  it('/version', async () => {
    const { body } = await ask('GET', '/version')
    assert.deepEqual([body.major, body.minor], ['1', '33'])
    assert.match(body.gitVersion, /^v1\.33/)
    for (const field of ['gitCommit', 'gitTreeState', 'buildDate', 'goVersion', 'compiler', 'platform']) assert.ok(field in body, field)
  })

  it('/healthz, /livez and /readyz, check by check', async () => {
    for (const path of ['/healthz', '/livez', '/readyz']) {
      assert.equal((await ask('GET', path)).text, 'ok')
      const { text } = await ask('GET', `${path}?verbose`)
      assert.match(text, new RegExp(`^\\[\\+\\]ping ok\\n(\\[\\+\\]\\S+ ok\\n)*${path.slice(1)} check passed\\n$`))
      const [, check] = [...text.matchAll(/\[\+\](\S+) ok/g)].map((m) => m[1])
      assert.equal((await ask('GET', `${path}/${check}`)).text, 'ok')
      assert.match((await ask('GET', `${path}?verbose&exclude=${check}`)).text, new RegExp(`\\[\\+\\]${check} excluded: ok`))
      assert.equal((await ask('GET', `${path}/none`)).code, 404)
    }
  })

  it('component statuses', async () => {
    const { body } = await ask('GET', '/api/v1/componentstatuses')
    assert.equal(body.kind, 'ComponentStatusList')
    for (const { conditions } of body.items) assert.deepEqual([conditions[0].type, conditions[0].status], ['Healthy', 'True'])
    assert.ok(body.items.length > 0)
  })

  it('/metrics, as Prometheus reads them', async () => {
    const { code, headers, text } = await ask('GET', '/metrics')
    assert.equal(code, 200)
    assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/)
    assert.match(text, /^# TYPE apiserver_request_total counter$/m)
    assert.match(text, /^apiserver_request_total\{.*resource="configmaps".*\} \d+$/m)
  })
})
