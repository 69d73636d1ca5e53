// The agent's pages and paths in memory; what they find in containers is server.test.ts.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { ContainerState, Runtime } from '../runtime/runtime.ts'
import { agentApp } from './app.ts'

const closing = new AbortController()
const containers = [{ phase: 'exited', spec: { name: 'main', attempt: 0, pod: { namespace: 'ns', name: 'p', uid: 'u1' } } }]
const app = agentApp(
  {
    runtime: { list: async () => containers as ContainerState[] } as Runtime,
    pods: () => [{ metadata: { namespace: 'ns', name: 'p', uid: 'u1' }, spec: { containers: [{ name: 'main' }, { name: 'b' }] } } as Pod],
    nodeName: 'n1',
    callers: ['api'],
    log: silent,
    clock: systemClock,
    metrics: async () => 'up 1\n',
  },
  closing.signal,
)

async function ask(path: string, method = 'GET', caller = 'api') {
  const response = await app.request(path, { method }, { caller })
  const type = response.headers.get('content-type') ?? ''
  const text = await response.text()
  const body: ReturnType<typeof JSON.parse> = type === 'application/json' ? JSON.parse(text) : text
  return { code: response.status, type, body }
}

test('pages', async () => {
  assert.deepEqual(await ask('/healthz'), { code: 200, type: 'text/plain', body: 'ok' })
  assert.deepEqual(await ask('/healthz/', 'POST'), { code: 200, type: 'text/plain', body: 'ok' })
  assert.deepEqual(await ask('/metrics'), { code: 200, type: 'text/plain; version=0.0.4', body: 'up 1\n' })
  assert.equal((await ask('/pods')).body.items[0].metadata.name, 'p')
  assert.equal((await app.request('/healthz', { method: 'HEAD' }, { caller: 'api' })).status, 200)
})

test('whoever is not a caller learns nothing of what there is', async () => {
  for (const path of ['/healthz', '/pods', '/nosuch', '/exec/ns/p/main']) assert.equal((await ask(path, 'GET', 'somebody')).code, 403, path)
  assert.equal((await app.request('/healthz')).status, 401)
})

test('paths name a pod, with its uid or without, and a container of it', async () => {
  const rows: [method: string, path: string, code: number, message: RegExp][] = [
    ['GET', '/nosuch', 404, /^the agent has no \/nosuch$/],
    ['GET', '//healthz', 404, /^the agent has no/],
    ['GET', '/exec/ns/p/main', 400, /^unable to upgrade/],
    ['GET', '/exec/ns/p/u1/main', 400, /^unable to upgrade/],
    ['GET', '/exec/ns/p', 404, /^the agent has no/],
    ['GET', '/attach/ns//main', 404, /^the agent has no/],
    ['GET', '/portForward/ns/p', 400, /^unable to upgrade/],
    ['GET', '/portForward/ns/p/u1', 400, /^unable to upgrade/],
    ['GET', '/portForward/ns/p/u1/main', 404, /^the agent has no/],
    ['GET', '/run/ns/p/main', 405, /^only POST runs a command$/],
    ['POST', '/run/ns/p/main', 404, /^container not found \("main"\)$/],
    ['POST', '/run/ns/p/u2/main', 404, /^pod "p" not found$/],
    ['GET', '/containerLogs/ns/q/main', 404, /^pod "q" not found$/],
    ['GET', '/containerLogs/ns/%70/b', 400, /^container "b" in pod "p" is waiting to start: ContainerCreating$/],
    ['GET', '/containerLogs/ns/p/c', 400, /^container c is not valid for pod p$/],
    ['GET', '/containerLogs/ns/%zz/main', 404, /^pod "%zz" not found$/],
    ['GET', '/containerLogs/ns/p/main?tailLines=-1', 400, /^invalid tailLines: "-1"$/],
  ]
  for (const [method, path, code, message] of rows) {
    const answer = await ask(path, method)
    assert.deepEqual([answer.code, answer.body.kind, answer.body.code], [code, 'Status', code], `${method} ${path}`)
    assert.match(answer.body.message, message, `${method} ${path}`)
  }
})

test('the endpoint does without fetch, which takes megabytes of an agent', async () => {
  const [app, answers, listener] = ['./app.ts', './answers.ts', '#api/http/listener.ts'].map((path) =>
    JSON.stringify(import.meta.resolve(path)),
  )
  const script = `
    const http = process.getBuiltinModule('node:http')
    const { agentApp } = await import(${app})
    const { statusReply } = await import(${answers})
    const { listener } = await import(${listener})
    const deps = { runtime: { list: async () => [] }, pods: () => [], nodeName: 'n', callers: ['api'], log: { error() {} } }
    const serve = listener(agentApp({ ...deps, clock: { monotonic: () => 0, now: () => 0 } }, new AbortController().signal), statusReply)
    const server = http.createServer((request, response) => {
      request.socket.authorized = true
      request.socket.getPeerCertificate = () => ({ subject: { CN: 'api' } })
      void serve(request, response)
    })
    await new Promise((done) => server.listen(0, '127.0.0.1', done))
    for (const path of ['/healthz', '/metrics/resource', '/nosuch', '/containerLogs/a/b/c']) {
      const answer = await new Promise((done) => http.get({ port: server.address().port, host: '127.0.0.1', path }, done))
      console.log(path, answer.statusCode)
      answer.resume()
    }
    console.log(process.moduleLoadList.filter((name) => name.includes('undici')).join() || 'no fetch')
    process.exit()`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script])
  assert.equal(stdout, '/healthz 200\n/metrics/resource 200\n/nosuch 404\n/containerLogs/a/b/c 404\nno fetch\n')
})
