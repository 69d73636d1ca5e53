// An operator of controller-runtime, twice, with webhooks for admission and conversion: what people install first.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startServer } from '../cluster/cluster.ts'
import { startControlPlane } from '../cluster/control-plane.ts'
import { kill } from '../cluster/daemon.ts'
import { atEnd } from '../cluster/ending.ts'
import { eventually } from '../cluster/eventually.ts'
import { kubectlFor } from '../cluster/kubectl.ts'
import { run } from '../cluster/shell.ts'
import { type Running, runProgram } from './programs.ts'

const dir = await mkdtemp(join(tmpdir(), 'coracle-operator-'))
const certs = await mkdtemp(join(tmpdir(), 'coracle-operator-certs-'))
atEnd(() => rm(certs, { recursive: true }))
const controlPlane = await startControlPlane({ dir, slot: 3 })
atEnd(() => controlPlane[Symbol.asyncDispose]())
const { plan } = controlPlane
const kubectl = kubectlFor(plan.kubeconfig)
const apply = async (object: object) => await kubectl.attempt(['apply', '-f', '-'], JSON.stringify(object))
const applied = async (...objects: object[]) => {
  for (const object of objects) {
    const { code, stderr } = await apply(object)
    assert.equal(code, 0, stderr)
  }
}

const subject = ['-subj', '/CN=boats', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '30']
const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', join(certs, 'tls.key')]
await run('openssl', 'req', '-x509', ...subject, ...key, '-out', join(certs, 'tls.crt'))
const caBundle = (await readFile(join(certs, 'tls.crt'))).toString('base64')
const port = await new Promise<number>((resolve) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address() as { port: number }
    probe.close(() => resolve(port))
  })
})
const clientConfig = (path: string) => ({ url: `https://127.0.0.1:${port}${path}`, caBundle })

const version = (name: string, storage: boolean, spec: object) => ({
  name,
  served: true,
  storage,
  subresources: { status: {} },
  schema: {
    openAPIV3Schema: {
      type: 'object',
      properties: {
        spec: { type: 'object', properties: { port: { type: 'string' }, ...spec } },
        status: { type: 'object', properties: { phase: { type: 'string' }, by: { type: 'string' } } },
      },
    },
  },
})
const webhook = (kind: string, path: string, operations: string[]) => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind,
  metadata: { name: 'boats' },
  webhooks: [
    {
      name: 'boats.sail.example.com',
      clientConfig: clientConfig(path),
      rules: [{ apiGroups: ['sail.example.com'], apiVersions: ['v1'], operations, resources: ['boats'] }],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    },
  ],
})
const boat = (name: string, spec: object, apiVersion = 'v1') => ({
  apiVersion: `sail.example.com/${apiVersion}`,
  kind: 'Boat',
  metadata: { name },
  spec,
})

await applied({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'boats.sail.example.com' },
  spec: {
    group: 'sail.example.com',
    scope: 'Namespaced',
    names: { plural: 'boats', singular: 'boat', kind: 'Boat', listKind: 'BoatList' },
    versions: [
      version('v1', true, { crew: { type: 'integer' } }),
      version('v1beta1', false, { sailors: { type: 'array', items: { type: 'string' } } }),
    ],
    conversion: { strategy: 'Webhook', webhook: { clientConfig: clientConfig('/convert'), conversionReviewVersions: ['v1'] } },
  },
})
await kubectl('wait', '--for=condition=Established', 'crd/boats.sail.example.com', '--timeout=30s')

const started: Running[] = []
atEnd(async () => {
  for (const each of started) await each.stop('SIGKILL')
})
const operator = (name: string, at: number) => {
  const each = runProgram('operator', [`-at=${plan.kubeconfig}`, `-name=${name}`, `-port=${at}`, `-certs=${certs}`])
  started.push(each)
  return each
}
const first = operator('first', port)
await first.line(({ what }) => what === 'serves')
await first.line(({ what }) => what === 'leads')
await applied(
  webhook('MutatingWebhookConfiguration', '/mutate-sail-example-com-v1-boat', ['CREATE', 'UPDATE']),
  webhook('ValidatingWebhookConfiguration', '/validate-sail-example-com-v1-boat', ['CREATE', 'UPDATE', 'DELETE']),
)
const phase = (name: string) => kubectl('get', 'boat', name, '-o', 'jsonpath={.status.phase} {.status.by}')

test('a boat is defaulted, reconciled, has a status, and what it owns comes back', async () => {
  await eventually(async () => {
    await applied(boat('one', { crew: 3 }))
    assert.equal(await kubectl('get', 'boat', 'one', '-o', 'jsonpath={.spec.port}'), 'Home')
  })
  await eventually(async () => assert.equal(await phase('one'), 'Afloat first'))
  assert.equal(await kubectl('get', 'configmap', 'papers-one', '-o', 'jsonpath={.data.crew}'), '3')
  await kubectl('delete', 'configmap', 'papers-one')
  await eventually(() => kubectl('get', 'configmap', 'papers-one'))
  await kubectl('patch', 'boat', 'one', '--type=merge', '-p', '{"spec":{"crew":4}}')
  await eventually(async () => assert.equal(await kubectl('get', 'configmap', 'papers-one', '-o', 'jsonpath={.data.crew}'), '4'))
})

test('a reconciler that finds all as it should be writes nothing', async () => {
  const version = async () =>
    await kubectl('get', 'boat/one', 'configmap/papers-one', '-o', 'jsonpath={.items[*].metadata.resourceVersion}')
  const [before, known] = [await version(), first.lines.length]
  await kubectl('annotate', 'configmap', 'papers-one', 'seen=1') // wakes it
  await kubectl('annotate', 'configmap', 'papers-one', 'seen-')
  await applied(boat('two', { crew: 1 }))
  await first.line(({ what, about }) => what === 'papers created' && about === 'two', known)
  assert.equal((await version()).split(' ')[0], before.split(' ')[0])
  assert.ok(!first.lines.slice(known).some(({ what, about }) => what === 'papers updated' && about === 'one'))
})

test('the validator refuses, warns, and guards what is to be kept', async () => {
  const sunk = await apply(boat('heavy', { crew: 101 }))
  assert.match(sunk.stderr, /admission webhook "boats\.sail\.example\.com" denied the request: a crew of 101 would sink it/)
  const empty = await apply(boat('empty', { crew: 0 }))
  assert.equal(empty.code, 0, empty.stderr)
  assert.match(empty.stderr, /Warning: nobody is aboard/)
  await kubectl('label', 'boat', 'empty', 'keep=true')
  const kept = await kubectl.attempt(['delete', 'boat', 'empty'])
  assert.match(kept.stderr, /it is to be kept/)
})

test('an old version is converted both ways, in lists and watches too', async () => {
  await applied(boat('old', { sailors: ['ann', 'bob'] }, 'v1beta1'))
  assert.equal(await kubectl('get', 'boats.v1.sail.example.com', 'old', '-o', 'jsonpath={.spec.crew} {.spec.port}'), '2 Home')
  const all = await kubectl(
    'get',
    'boats.v1beta1.sail.example.com',
    '-o',
    'jsonpath={range .items[*]}{.metadata.name}={.spec.sailors}{"\\n"}{end}',
  )
  assert.match(all, /^one=\["sailor","sailor","sailor","sailor"\]$/m)
  assert.match(all, /^old=\["sailor","sailor"\]$/m)
})

test('a finalizer holds a deletion until its work is done, and dependents follow', async () => {
  await kubectl('delete', 'boat', 'two', '--timeout=30s')
  await kubectl('get', 'configmap', 'sunk-two')
  await eventually(async () => assert.match((await kubectl.attempt(['get', 'configmap', 'papers-two'])).stderr, /NotFound/))
})

test('another instance takes over when the leader is killed, not before, and keeps the lease over a restart of the server', async () => {
  const second = operator('second', port + 1)
  await second.line(({ what }) => what === 'serves')
  // The server comes back with the lease as it was: the standby has no reason to lead.
  await kill(join(plan.server.dir, 'server.pid'))
  await startServer(plan)
  await eventually(() => applied(boat('three', { crew: 1 })))
  await eventually(async () => assert.equal(await phase('three'), 'Afloat first'))
  assert.equal(await kubectl('get', 'lease', 'boats', '-o', 'jsonpath={.spec.leaseTransitions}').then((n) => n || '0'), '0')
  assert.ok(!second.lines.some(({ what }) => what === 'leads'))

  await kubectl('delete', 'mutatingwebhookconfiguration,validatingwebhookconfiguration', 'boats')
  await first.stop('SIGKILL')
  await applied(boat('four', { crew: 1, port: 'Away' }))
  await second.line(({ what }) => what === 'leads')
  await eventually(async () => assert.equal(await phase('four'), 'Afloat second'))
  assert.equal(await kubectl('get', 'lease', 'boats', '-o', 'jsonpath={.spec.leaseTransitions}'), '1')
})
