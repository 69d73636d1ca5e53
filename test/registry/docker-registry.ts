// Debian's docker-registry, filled with an image of the test's own.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type AddressInfo, createServer as createTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { BuiltImage } from '../../images/archive.ts'

type Send = (method: string, path: string, headers: Record<string, string>, body?: Uint8Array) => Promise<IncomingMessage>

/** On a free port of loopback, gone after the test. `push` puts `image` there; `htpasswd` is a line of that file. */
export async function dockerRegistry(
  t: TestContext,
  { image, ...options }: { image: BuiltImage; tls?: { cert: string; key: string }; htpasswd?: string },
) {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-docker-registry-'))
  const probe = createTcp().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  const tls = options.tls ? { tls: { certificate: join(dir, 'cert'), key: join(dir, 'key') } } : {}
  writeFileSync(join(dir, 'cert'), options.tls?.cert ?? '')
  writeFileSync(join(dir, 'key'), options.tls?.key ?? '')
  writeFileSync(join(dir, 'htpasswd'), options.htpasswd ?? '')
  const auth = options.htpasswd ? { auth: { htpasswd: { realm: 'test', path: join(dir, 'htpasswd') } } } : {}
  const config = {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(dir, 'data') } },
    http: { addr: `127.0.0.1:${port}`, ...tls },
    ...auth,
  }
  writeFileSync(join(dir, 'config.yml'), JSON.stringify(config))
  const child = spawn('/usr/bin/docker-registry', ['serve', join(dir, 'config.yml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, OTEL_TRACES_EXPORTER: 'none' },
  })
  t.after(async () => {
    const gone = once(child, 'exit')
    child.kill()
    await gone
    rmSync(dir, { recursive: true, force: true })
  })
  let said = ''
  await new Promise<void>((resolve) => {
    child.stderr.on('data', (text) => {
      said += String(text)
      if (said.includes('listening on')) resolve()
    })
  })
  const send: Send = (method, path, headers, body) =>
    new Promise((resolve, reject) => {
      const url = new URL(path, `${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`)
      const sent = options.tls ? httpsRequest(url, { method, headers, ca: options.tls.cert }) : request(url, { method, headers })
      sent.on('response', (response) => resolve(response.resume())).on('error', reject)
      sent.end(body)
    })
  return { host: `127.0.0.1:${port}`, push: (path: string, tag: string, headers = {}) => push(send, image, path, tag, headers) }
}

async function push(
  send: Send,
  { blobs, manifest }: BuiltImage,
  path: string,
  tag: string,
  headers: Record<string, string>,
): Promise<void> {
  for (const { digest, content } of blobs) {
    const opened = await send('POST', `/v2/${path}/blobs/uploads/`, headers)
    assert.equal(opened.statusCode, 202)
    const put = new URL(opened.headers.location!)
    put.searchParams.set('digest', digest)
    const done = await send('PUT', put.pathname + put.search, { ...headers, 'content-type': 'application/octet-stream' }, content)
    assert.equal(done.statusCode, 201)
  }
  const content = blobs.find(({ digest }) => digest === manifest.digest)!.content
  assert.equal(
    (await send('PUT', `/v2/${path}/manifests/${tag}`, { ...headers, 'content-type': manifest.mediaType }, content)).statusCode,
    201,
  )
}
