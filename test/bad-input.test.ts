// Bad input gets one clear answer, in Kubernetes' own form, and leaves nothing half-made.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { attempt } from './cluster/shell.ts'

const coracle = resolve(import.meta.dirname, '../bin/coracle')
const { plan, kubectl, kubectls } = await testCluster({ nodes: 1 })
const server = plan.server.url

type Answer = { code: number; status: { kind?: string; reason?: string; message?: string; details?: { causes?: { field?: string }[] } } }

/** A request as the administrator, or as whom `headers` say, straight to the API. */
async function call(
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Record<string, string> = {},
  anonymous = false,
): Promise<Answer> {
  const target = await loadKubeconfig(plan.kubeconfig)
  const { ca, cert, key } = target.credentials
  return await new Promise((done, fail) => {
    let answered = false
    const outgoing = request(
      new URL(path, server),
      {
        method,
        ca,
        agent: false,
        ...(!anonymous && { cert, key }),
        headers: {
          ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      (response) => {
        answered = true
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => done({ code: response.statusCode ?? 0, status: JSON.parse(Buffer.concat(chunks).toString()) }))
      },
    )
    // The server may close before it has read a body that it refuses.
    outgoing.on('error', (error) => answered || fail(error))
    outgoing.end(body)
  })
}

const expectStatus = (answer: Answer, code: number, reason: string, message: RegExp) => {
  assert.equal(answer.status.kind, 'Status')
  assert.deepEqual([answer.code, answer.status.reason], [code, reason], answer.status.message)
  assert.match(answer.status.message ?? '', message)
}
const configMaps = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string, extra: object = {}) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...extra })

test('an unknown kind, path and version', async () => {
  assert.match(
    (await kubectl.attempt(['apply', '-f', '-'], 'apiVersion: v1\nkind: Gadget\nmetadata: {name: x}\n')).stderr,
    /no matches for kind "Gadget" in version "v1"/,
  )
  assert.match((await kubectl.attempt(['get', 'gadgets'])).stderr, /the server doesn't have a resource type "gadgets"/)
  expectStatus(await call('GET', '/apis/nowhere/v1/things'), 404, 'NotFound', /could not find the requested resource/)
  expectStatus(await call('GET', `${configMaps}/missing`), 404, 'NotFound', /^configmaps "missing" not found$/)
  expectStatus(await call('PUT', configMaps, '{}'), 405, 'MethodNotAllowed', /not/)
})

test('a wrong type names the field', async () => {
  const body = JSON.stringify({ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x' }, spec: { replicas: 'three' } })
  const answer = await call('POST', '/apis/apps/v1/namespaces/default/deployments', body)
  expectStatus(answer, 400, 'BadRequest', /cannot unmarshal string into Go struct field .*replicas of type int32/)
})

test('a missing required field names the field', async () => {
  const body = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'x' },
    spec: { containers: [{ name: 'c' }, { image: 'busybox' }] },
  })
  const answer = await call('POST', '/api/v1/namespaces/default/pods', body)
  expectStatus(answer, 422, 'Invalid', /spec\.containers\[0\]\.image: Required value/)
  assert.ok(answer.status.details?.causes?.some((c) => c.field === 'spec.containers[1].name'))
  const { stderr } = await kubectl.attempt(
    ['apply', '-f', '-'],
    'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {template: {spec: {containers: [{name: a, image: b}]}}}\n',
  )
  assert.match(stderr, /spec\.selector: Required value/)
})

test('an unknown field is refused by a strict client and named', async () => {
  for (const k of kubectls) {
    const { stderr, code } = await k.attempt(
      ['apply', '-f', '-'],
      'apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {ports: [{prot: 80, port: 80}]}\n',
    )
    assert.notEqual(code, 0)
    assert.match(stderr, /unknown field "(spec\.ports\[0\]\.prot|prot)"/)
  }
})

test('a duplicate name and a stale resource version are conflicts', async () => {
  await kubectl('create', 'configmap', 'twice')
  expectStatus(await call('POST', configMaps, configMap('twice')), 409, 'AlreadyExists', /^configmaps "twice" already exists$/)
  const stale = configMap('twice', { metadata: { name: 'twice', resourceVersion: '1' }, data: { a: 'b' } })
  expectStatus(
    await call('PUT', `${configMaps}/twice`, stale),
    409,
    'Conflict',
    /the object has been modified; please apply your changes to the latest version and try again/,
  )
  assert.equal(await kubectl('get', 'configmap', 'twice', '-o', 'jsonpath={.data}'), '')
})

test('wrong credentials', async () => {
  expectStatus(await call('GET', configMaps, undefined, { authorization: 'Bearer not-a-token' }, true), 401, 'Unauthorized', /Unauthorized/)
  const anonymous = await call('GET', configMaps, undefined, {}, true)
  assert.ok(anonymous.code === 401 || anonymous.code === 403, `${anonymous.code}`)
  assert.equal(anonymous.status.kind, 'Status')
  const { stderr, code } = await attempt(coracle, [
    'agent',
    `--server=${server}`,
    '--token=K10abc',
    '--node-name=x',
    '--node-ip=127.0.0.1',
    `--data-dir=${join(plan.dir, 'nobody')}`,
  ])
  assert.notEqual(code, 0)
  assert.match(stderr, /join token must look like/)
})

test('a body of 10 MB is refused before it is stored, and the server lives', async () => {
  const answer = await call('POST', configMaps, configMap('huge', { data: { big: 'x'.repeat(10 << 20) } }))
  expectStatus(answer, 413, 'RequestEntityTooLarge', /limit/)
  expectStatus(await call('GET', `${configMaps}/huge`), 404, 'NotFound', /huge/)
})

test('broken JSON and YAML', async () => {
  expectStatus(await call('POST', configMaps, '{"kind": "ConfigMap", '), 400, 'BadRequest', /JSON|json/)
  expectStatus(await call('POST', configMaps, 'a: b: c', { 'content-type': 'application/yaml' }), 400, 'BadRequest', /yaml|YAML/i)
  expectStatus(await call('POST', configMaps, '[]'), 400, 'BadRequest', /./)
  expectStatus(await call('POST', configMaps, 'x', { 'content-type': 'text/html' }), 415, 'UnsupportedMediaType', /./)
  expectStatus(await call('GET', configMaps, undefined, { accept: 'text/html' }), 406, 'NotAcceptable', /./)
  assert.match((await kubectl.attempt(['apply', '-f', '-'], 'a: b: c')).stderr, /error (parsing|converting)/)
})

test('a broken image archive is refused whole', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-archive-'))
  t.after(() => rm(dir, { recursive: true }))
  const whole = await readFile(resolve(import.meta.dirname, '../.coracle/images/busybox.tar'))
  const list = () => attempt(coracle, ['image', 'list', `--data-dir=${plan.nodes[0]?.dir}`])
  const before = (await list()).stdout
  const broken = { 'cut.tar': whole.subarray(0, whole.length / 2), 'noise.tar': Buffer.alloc(4096, 7), 'empty.tar': Buffer.alloc(0) }
  for (const [name, bytes] of Object.entries(broken)) {
    await writeFile(join(dir, name), bytes)
    const { code, stderr } = await attempt(coracle, ['image', 'import', join(dir, name), `--data-dir=${plan.nodes[0]?.dir}`])
    assert.equal(code, 1, name)
    assert.match(stderr, new RegExp(`coracle: .*${name}`), name)
    assert.equal(stderr.trim().split('\n').length, 1, stderr)
  }
  assert.equal((await list()).stdout, before)
})

test('an image that is not found: the pod waits with ErrImagePull, then ImagePullBackOff, and an event says why', async () => {
  await kubectl('run', 'nowhere', '--image=127.0.0.1:1/nothing:1', '--restart=Never')
  await eventually(async () => assert.match(await kubectl('get', 'pod', 'nowhere'), /ErrImagePull|ImagePullBackOff/))
  await eventually(async () => assert.match(await kubectl('describe', 'pod', 'nowhere'), /Failed to pull image "127.0.0.1:1\/nothing:1"/))
  await kubectl.attempt(
    ['apply', '-f', '-'],
    'apiVersion: v1\nkind: Pod\nmetadata: {name: badname}\nspec: {containers: [{name: a, image: "Not//A:Name"}]}\n',
  )
  await eventually(async () => assert.match(await kubectl('get', 'pod', 'badname'), /InvalidImageName/))
  await kubectl('delete', 'pod', 'nowhere', 'badname')
})

test('a command that does not exist: the container says so', async () => {
  await kubectl('run', 'nocommand', '--image=busybox:1.35', '--restart=Never', '--command', '--', '/does/not/exist')
  await eventually(async () => assert.match(await kubectl('get', 'pod', 'nocommand'), /StartError|RunContainerError|ContainerCannotRun/))
  assert.match(await kubectl('describe', 'pod', 'nocommand'), /\/does\/not\/exist/)
  await kubectl('delete', 'pod', 'nocommand')
})

test('a pod that fits nowhere waits, and its event says why', async () => {
  const { code, stderr } = await kubectl.attempt(
    ['apply', '-f', '-'],
    'apiVersion: v1\nkind: Pod\nmetadata: {name: greedy}\nspec: {containers: [{name: a, image: "busybox:1.35", resources: {requests: {cpu: "1000"}}}]}\n',
  )
  assert.equal(code, 0, stderr)
  await eventually(async () => assert.match(await kubectl('describe', 'pod', 'greedy'), /0\/1 nodes are available: 1 Insufficient cpu/))
  await kubectl('delete', 'pod', 'greedy')
})
