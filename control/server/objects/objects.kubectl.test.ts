// The kubectls of this machine, oldest and newest, against a real server: TLS, HTTP/2, and whatever
// encodings they choose.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { found, type KubectlServer, kubectlServer } from '../testing/kubectl.fake.ts'

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

describe('kubectl', { skip: found.length === 0 && 'there is none on this machine', concurrency: true }, () => {
  let server: KubectlServer
  before(async () => {
    server = await kubectlServer({ 'web.yaml': manifest, 'web4.yaml': manifest.replace('replicas: 3', 'replicas: 4') })
  })
  after(() => server?.close())

  for (const [i, program] of found.entries()) {
    it(program.split('/').at(-1) ?? '', async () => {
      const { run, fails, env, namespace } = await server.kubectl(program, `k${i}`)
      const watch = spawn(program, ['-n', namespace, 'get', 'deploy', '--watch', '--no-headers'], { env })
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
