// The kubectls of this machine, oldest and newest, against a real server: TLS, HTTP/2, and whatever
// encodings they choose.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '#api/clock.ts'
import { Namespace, ServiceAccount } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { openPki } from '#control/pki/pki.ts'
import { memoryStore } from '../store/memory.ts'
import type { Store } from '../store/store.ts'
import { type Server, startServer } from './server.ts'

const execute = promisify(execFile)

/** `kubectl` itself, or the oldest and newest of several `kubectl.1.x` beside it. */
async function kubectls(): Promise<string[]> {
  for (const dir of (process.env.PATH ?? '').split(':')) {
    const found = await realpath(join(dir, 'kubectl')).catch(() => undefined)
    if (!found) continue
    const minor = (file: string) => Number(file.split('.')[2])
    const several = (await readdir(dirname(found))).filter((f) => /^kubectl\.1\.\d+$/.test(f)).sort((a, b) => minor(a) - minor(b))
    const chosen = [...new Set([several[0], several.at(-1)])].filter((f) => f !== undefined)
    return chosen.length > 0 ? chosen.map((f) => join(dirname(found), f)) : [found]
  }
  return []
}

const manifest = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: "busybox:1.36", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
`
const found = await kubectls()

describe('kubectl', { skip: found.length === 0 && 'there is none on this machine', concurrency: true }, () => {
  let dir: string
  let store: Store
  let server: Server
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'coracle-kubectl-'))
    const pki = await openPki({ dir: join(dir, 'pki'), hosts: ['127.0.0.1'], now: Date.now })
    store = await memoryStore()
    server = await startServer({
      store,
      pki,
      listen: { host: '127.0.0.1', port: 0 },
      advertise: { address: '127.0.0.1' },
      clock: systemClock,
      log: silent,
    })
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    const cluster = { server: `https://127.0.0.1:${server.port}`, 'certificate-authority-data': base64(pki.authority.cert) }
    const user = { 'client-certificate-data': base64(pki.admin.cert), 'client-key-data': base64(pki.admin.key) }
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user }],
    }
    await writeFile(join(dir, 'kubeconfig'), JSON.stringify(config))
    await writeFile(join(dir, 'web.yaml'), manifest)
    await writeFile(join(dir, 'web4.yaml'), manifest.replace('replicas: 3', 'replicas: 4'))
  })
  after(async () => {
    await server?.close()
    await store?.close()
    if (dir) await rm(dir, { recursive: true })
  })

  for (const [i, kubectl] of found.entries()) {
    it(kubectl.split('/').at(-1) ?? '', async () => {
      const namespace = `k${i}`
      const env = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig'), HOME: join(dir, namespace) }
      const client = server.client()
      await client.create(Namespace, { metadata: { name: namespace } })
      await client.create(ServiceAccount, { metadata: { namespace, name: 'default' } })
      const run = async (...args: string[]) => (await execute(kubectl, ['-n', namespace, ...args], { env, cwd: dir })).stdout
      const fails = async (...args: string[]) => {
        const error = await run(...args).then(
          () => assert.fail(`kubectl ${args.join(' ')} should fail`),
          (e: { stderr: string; stdout: string }) => e,
        )
        return error.stderr
      }
      const watch = spawn(kubectl, ['-n', namespace, 'get', 'deploy', '--watch', '--no-headers'], { env })
      const lines = createInterface(watch.stdout)[Symbol.asyncIterator]()
      const line = async () => (await lines.next()).value ?? ''

      assert.match(await run('apply', '-f', 'web.yaml'), /deployment.apps\/web created\nservice\/web created/)
      assert.match(await line(), /^web +0\/3 +0 +0 +\S+$/)
      assert.match(await run('apply', '-f', 'web.yaml'), /deployment.apps\/web unchanged\nservice\/web unchanged/)
      assert.match(
        await run('get', 'deploy', '-o', 'wide'),
        /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR *\nweb +0\/3/,
      )
      assert.match(await run('scale', 'deploy', 'web', '--replicas=5'), /scaled/)
      assert.match(await line(), /^web +0\/5/)
      watch.kill()
      await once(watch, 'close')

      await run('label', 'deploy', 'web', 'tier=front')
      await run('annotate', 'deploy', 'web', 'note=x')
      assert.equal(await run('get', 'deploy', '-l', 'tier=front', '-o', 'name'), 'deployment.apps/web\n')
      await run('patch', 'deploy', 'web', '-p', '{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"busybox:2"}]}}}}')
      assert.equal(await run('get', 'deploy', 'web', '-o', 'jsonpath={.spec.template.spec.containers[0].image}'), 'busybox:2')
      assert.match(await run('explain', 'deployment.spec.strategy'), /KIND: +Deployment[^]*rollingUpdate/)
      assert.match(await run('describe', 'deploy', 'web'), /Replicas: +5 desired/)
      assert.match(await run('get', 'all'), /service\/web +ClusterIP +10\.43\./)
      assert.match(await run('api-resources', '--api-group=apps'), /deployments +deploy +apps\/v1 +true +Deployment/)

      await run('create', 'configmap', 'made', '--from-literal=a=b')
      await run('create', 'secret', 'generic', 'kept', '--from-literal=c=d')
      assert.equal(await run('get', 'secret', 'kept', '-o', 'jsonpath={.data.c}'), 'ZA==')
      assert.match(
        await fails('create', 'configmap', 'made'),
        /Error from server \(AlreadyExists\)|error: failed to create configmap: configmaps "made" already exists/,
      )
      assert.match(await run('auth', 'can-i', 'create', 'pods'), /^yes/)
      assert.match(await run('create', 'token', 'default'), /^ey/)

      assert.match(await run('apply', '--server-side', '--field-manager=me', '-f', 'web.yaml', '--force-conflicts'), /serverside-applied/)
      assert.match(
        await fails('apply', '--server-side', '--field-manager=other', '-f', 'web4.yaml'),
        /Apply failed with 1 conflict: conflict with "me".*: \.spec\.replicas/,
      )
      assert.match(await fails('diff', '-f', 'web4.yaml').catch(() => ''), /^$/)
      assert.match(await fails('get', 'pod', 'absent'), /Error from server \(NotFound\): pods "absent" not found/)
      assert.match(await fails('get', 'nonsense'), /the server doesn't have a resource type "nonsense"/)
      assert.match(await run('delete', '-f', 'web.yaml'), /deployment.apps "web" deleted[^]*service "web" deleted/)
    })
  }
})
