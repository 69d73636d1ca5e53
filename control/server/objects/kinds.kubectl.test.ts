// Every kind, driven by real kubectls: created from a manifest, shown as Kubernetes shows it, described,
// applied again without a change, applied by the server, and deleted.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { apiVersionOf } from '#api/kinds/kind.ts'
import { builtinKinds } from '#api/kinds/registry.ts'
import { subresourcesOf } from '../http/discovery.ts'
import { found, kubectlServer } from '../testing/kubectl.fake.ts'

const manifest = await readFile(new URL('kinds.fixture.yaml', import.meta.url), 'utf8')
const golden = await readFile(new URL('golden/kinds.txt', import.meta.url), 'utf8')
const documents = manifest.split('\n---\n')
/** Old kubectls ask for these in versions that were never generally available. */
const early = /^kind: (VolumeAttributesClass|IPAddress|ServiceCIDR)$/m
const described = documents.filter((text) => !early.test(text))
/** Made by the cluster, by other kinds, or as the subject of other tests. */
const elsewhere = [
  'APIService',
  'ComponentStatus',
  'ConfigMap',
  'CustomResourceDefinition',
  'Deployment',
  'EndpointSlice',
  'Endpoints',
  'Lease',
  'Namespace',
  'Node',
  'NodeMetrics',
  'Pod',
  'PodMetrics',
  'ReplicaSet',
  'Secret',
  'Service',
  'ServiceAccount',
]

/** Without what differs from run to run. */
const steady = (text: string): string =>
  text
    .replaceAll(/ +$/gm, '')
    .replaceAll(/ {2,}/g, '  ')
    .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UID')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replaceAll(/(^|  )\d+(s|y\d+d|y)(?=  |$)/gm, '$1AGE')

it('the manifest has every kind that the server offers', () => {
  const kinds = new Set(builtinKinds.map(({ kind }) => kind.kind))
  for (const kind of documents.map((text) => /^kind: (.*)$/m.exec(text)?.[1] ?? '').concat(elsewhere)) kinds.delete(kind)
  assert.deepEqual([...kinds], [])
})

it('the documentation names every kind as it is served', async () => {
  const table = await readFile(new URL('../../../docs/kinds.md', import.meta.url), 'utf8')
  const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ')
  for (const spec of builtinKinds) {
    const { kind, shortNames = [] } = spec
    const subresources = subresourcesOf(spec).map(({ name }) => name)
    const cells = [kind.kind, apiVersionOf(kind), kind.namespaced ? 'namespace' : 'cluster', code(shortNames), code(subresources)]
    assert.ok(table.includes(`| ${cells.join(' | ')} |`), `docs/kinds.md should say | ${cells.join(' | ')} |`)
  }
  assert.equal(table.match(/^\| (?!kind|---)/gm)?.length, builtinKinds.length)
})

describe('every kind, by kubectl', { skip: found.length === 0 && 'there is none on this machine' }, () => {
  for (const program of found) {
    it(program.split('/').at(-1) ?? '', async (t) => {
      const server = await kubectlServer({})
      t.after(() => server.close())
      const { run, namespace } = await server.kubectl(program, 'every')
      const file = async (name: string, texts: readonly string[]) =>
        await writeFile(join(server.dir, name), texts.join('\n---\n').replaceAll('NAMESPACE', namespace))
      await file('kinds.yaml', documents)
      await file('described.yaml', described)

      const made = (await run('apply', '-f', 'kinds.yaml')).trim().split('\n')
      assert.deepEqual(
        made.filter((line) => !line.endsWith(' created')),
        [],
      )
      assert.equal(made.length, documents.length)
      assert.equal(steady(await run('get', '-f', 'kinds.yaml', '-o', 'wide')), golden)

      const versions = async () => await run('get', '-f', 'kinds.yaml', '-o', 'jsonpath={.items[*].metadata.resourceVersion}')
      const before = await versions()
      // Where the server's defaults stand in lists, kubectl cannot tell and says `configured`.
      assert.match(await run('apply', '-f', 'kinds.yaml'), /^(\S+ (unchanged|configured)\n)+$/)
      assert.equal(await versions(), before, 'nothing was written')

      const descriptions = await run('describe', '-f', 'described.yaml')
      assert.equal(descriptions.match(/^Name: /gm)?.length, described.length)
      assert.match(descriptions, /Selector: +batch.kubernetes.io\/controller-uid=[^]*Completions: +3/)

      const applied = await run('apply', '--server-side', '--force-conflicts', '-f', 'kinds.yaml')
      assert.equal(applied.match(/ serverside-applied$/gm)?.length, documents.length)
      assert.match(
        await run('get', 'all'),
        /replicationcontroller\/old[^]*daemonset[^]*statefulset[^]*horizontalpodautoscaler[^]*cronjob[^]*job/,
      )
      const old = await run(
        'get',
        'horizontalpodautoscalers.v1.autoscaling',
        'db',
        '-o',
        'jsonpath={.apiVersion} {.spec.targetCPUUtilizationPercentage}',
      )
      assert.equal(old, 'autoscaling/v1 60')
      assert.match(await run('get', 'events', '--field-selector', 'involvedObject.name=web'), /Normal +Seen +pod\/web +it was seen/)
      assert.match(await run('certificate', 'approve', 'ann'), /approved/)
      assert.match(await run('get', 'csr', 'ann'), /ann +\d+s +kubernetes.io\/kube-apiserver-client +\S+ +24h +Approved/)
      assert.match(await run('scale', 'statefulset', 'db', '--replicas=4'), /scaled/)
      assert.match(await run('scale', 'rc', 'old', '--replicas=1'), /scaled/)
      assert.match(await run('auth', 'can-i', '--list'), /\*\.\* +\[\] +\[\] +\[\*\]/)

      const gone = await run('delete', '--wait=false', '-f', 'kinds.yaml')
      assert.equal(gone.match(/ deleted/g)?.length, documents.length)
    })
  }
})
