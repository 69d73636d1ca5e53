import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import 'reflect-metadata'
import { BasicConstraintsExtension, SubjectAlternativeNameExtension, X509CertificateGenerator } from '@peculiar/x509'
import { silent } from '#api/log.ts'
import { dockerRegistry } from '#test/registry/docker-registry.ts'
import { buildImage, tar } from '../../images/archive.ts'
import { type ImagesOptions, openImages } from './store.ts'

const big = Buffer.from(Array.from({ length: 300_000 }, (_, at) => (at * 7919) % 251))
const image = buildImage({
  names: [],
  architecture: 'amd64',
  layers: [
    await tar([{ path: 'hello', content: 'hello' }]),
    await tar([{ path: 'big', content: big }]),
    await tar([{ path: '.wh.hello' }]),
  ],
  config: { Cmd: ['/hello'] },
})

async function storeFor(t: TestContext, options: Partial<ImagesOptions> = {}, registries = '') {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'coracle-registry-'))
  const registriesFile = join(dir, 'registries.yaml')
  writeFileSync(registriesFile, registries)
  const images = await openImages({
    dir,
    log: silent,
    platform: { architecture: 'amd64' },
    retry: { attempts: 3, millis: 1 },
    registriesFile,
    ...options,
  })
  t.after(async () => {
    await images.close()
    rmSync(dir, { recursive: true, force: true })
  })
  return { images, left: () => ['blobs/sha256', 'layers', 'names', 'staging'].flatMap((name) => readdirSync(join(dir, name))) }
}

test('docker-registry, plain: by tag, by digest, again from what is there', async (t) => {
  const { host, push } = await dockerRegistry(t, { image })
  await push('team/app', 'v1')
  const { images, left } = await storeFor(t)
  const pulled = await images.pull(`${host}/team/app:v1`)
  assert.deepEqual(pulled.names, [`${host}/team/app:v1`])
  assert.deepEqual(pulled.digests, [`${host}/team/app@${image.manifest.digest}`])
  assert.deepEqual(pulled.config.cmd, ['/hello'])
  assert.deepEqual(readFileSync(join(pulled.layers[1]!, 'big')), big)
  assert.deepEqual(await images.find(`${host}/team/app:v1`), pulled)

  const before = left()
  assert.deepEqual((await images.pull(`${host}/team/app@${image.manifest.digest}`)).layers, pulled.layers)
  assert.equal(left().length, before.length + 1, 'one more name, nothing else')
  await images.remove(pulled.id)
  assert.deepEqual(left(), [])

  await assert.rejects(images.pull(`${host}/team/app:v2`), {
    name: 'ImageError',
    reason: 'ErrImagePull',
    message: `failed to pull image "${host}/team/app:v2": ${host}/team/app:v2: not found`,
  })
  await assert.rejects(images.pull(`${host}/nobody/nothing`), { reason: 'ErrImagePull', message: /not found$/ })
  await assert.rejects(images.pull(`${host}/UPPER`), { reason: 'InvalidImageName' })
  assert.deepEqual(left(), [])
})

test('docker-registry with TLS: trusted by its CA file only', async (t) => {
  const authority = await certificate()
  const { host, push } = await dockerRegistry(t, { image, tls: authority })
  await push('app', 'v1')
  const ca = join(mkdtempSync(join(tmpdir(), 'coracle-ca-')), 'ca.crt')
  t.after(() => rmSync(join(ca, '..'), { recursive: true }))
  writeFileSync(ca, authority.cert)

  const trusting = await storeFor(t, {}, `configs: { "${host}": { tls: { ca_file: ${ca} } } }`)
  assert.deepEqual((await trusting.images.pull(`${host}/app:v1`)).names, [`${host}/app:v1`])
  const careless = await storeFor(t, {}, `configs: { "${host}": { tls: { insecure_skip_verify: true } } }`)
  await careless.images.pull(`${host}/app:v1`)
  const strict = await storeFor(t, {}, `configs: { "${host}": { tls: {} } }`)
  await assert.rejects(strict.images.pull(`${host}/app:v1`), { reason: 'ErrImagePull', message: /failed to verify the certificate/ })
  // A mirror for another name, over TLS.
  const mirrored = await storeFor(
    t,
    {},
    `{ mirrors: { docker.io: { endpoint: ["https://${host}/v2"], rewrite: { "^library/(.*)$": "$1" } } }, configs: { "${host}": { tls: { ca_file: ${ca} } } } }`,
  )
  assert.deepEqual((await mirrored.images.pull('app:v1')).names, ['docker.io/library/app:v1'])
})

test('docker-registry with htpasswd: credentials from the pod, then from the configuration', async (t) => {
  // bcrypt of "secret", cost 4
  const htpasswd = 'user:$2b$04$7QAVd6lT/nArLQWKToxzB.e4ODd.nGo9UQnOs2x.x4KI9ncMXsAQm\n'
  const { host, push } = await dockerRegistry(t, { image, htpasswd })
  const good = { username: 'user', password: 'secret' }
  const bad = { username: 'user', password: 'wrong' }
  await push('app', 'v1', { authorization: `Basic ${Buffer.from('user:secret').toString('base64')}` })

  const { images, left } = await storeFor(t)
  for (const credentials of [undefined, [bad], [bad, bad]]) {
    await assert.rejects(images.pull(`${host}/app:v1`, { credentials }), { reason: 'ErrImagePull', message: /pull access denied/ })
  }
  assert.deepEqual(left(), [])
  await images.pull(`${host}/app:v1`, { credentials: [bad, good] })

  const configured = await storeFor(t, {}, `configs: { "${host}": { auth: { username: user, password: secret } } }`)
  await configured.images.pull(`${host}/app:v1`, { credentials: [bad] })
  const encoded = await storeFor(t, {}, `configs: { "${host}": { auth: { auth: ${Buffer.from('user:secret').toString('base64')} } } }`)
  await encoded.images.pull(`${host}/app:v1`)
})

/** A registry of our own that can misbehave. */
async function fakeRegistry(
  t: TestContext,
  misbehave: (request: IncomingMessage, response: ServerResponse, blob: Uint8Array | undefined) => boolean | void,
) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.url}${request.headers.range ? ` ${request.headers.range}` : ''}`)
    const digest = request.url!.split('/').at(-1)!
    const blob =
      image.blobs.find((blob) => blob.digest === digest)?.content ??
      (digest === 'v1' ? image.blobs.find((blob) => blob.digest === image.manifest.digest)!.content : undefined)
    if (misbehave(request, response, blob)) return
    if (!blob) {
      response.writeHead(404).end()
      return
    }
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': blob.length - from }).end(blob.subarray(from))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    blobsAsked: () => asked.filter((url) => url.includes(image.layers[1]!.digest)),
  }
}

const isBig = (request: IncomingMessage) => request.url!.includes(image.layers[1]!.digest)

test('a dropped connection goes on where it ended', async (t) => {
  let drops = 0
  const { host, blobsAsked } = await fakeRegistry(t, (request, response, blob) => {
    if (!isBig(request) || drops++ >= 2) return false
    const from = Number(/\d+/.exec(request.headers.range ?? '')?.[0] ?? 0)
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': blob!.length - from })
    response.write(blob!.subarray(from, from + 100), () => setImmediate(() => response.destroy()))
    return true
  })
  const { images } = await storeFor(t)
  const pulled = await images.pull(`${host}/app:v1`)
  assert.deepEqual(readFileSync(join(pulled.layers[1]!, 'big')), big)
  const layer = `/v2/app/blobs/${image.layers[1]!.digest}`
  assert.deepEqual(blobsAsked(), [layer, `${layer} bytes=100-`, `${layer} bytes=200-`])
})

test('a registry without ranges starts over, and one that is silent counts as dropped', async (t) => {
  let silences = 0
  const { host, blobsAsked } = await fakeRegistry(t, (request, response, blob) => {
    if (!isBig(request)) return false
    response.writeHead(200, { 'content-length': blob!.length })
    if (silences++ === 0) response.write(blob!.subarray(0, 100))
    else response.end(blob)
    return true
  })
  const { images } = await storeFor(t, { silenceMillis: 200 })
  const pulled = await images.pull(`${host}/app:v1`)
  assert.deepEqual(readFileSync(join(pulled.layers[1]!, 'big')), big)
  assert.equal(blobsAsked().length, 2)
})

test('what a registry sends wrong is refused and leaves no name', async (t) => {
  const wrong: [string, (response: ServerResponse, blob: Uint8Array) => void, string, RegExp][] = [
    [
      'one bit',
      (response, blob) => response.end(Buffer.from(blob).fill(blob[50]! ^ 1, 50, 51)),
      'ErrImagePull',
      /broken compressed data|digest is/,
    ],
    ['more than said', (response, blob) => response.end(Buffer.concat([blob, Buffer.from('more')])), 'ErrImagePull', /longer than its/],
    ['other content', (response) => response.end(Buffer.from('nothing like it')), 'RegistryUnavailable', /ended blob/],
    [
      'always cut',
      (response, blob) => void response.writeHead(200, { 'content-length': blob.length }).destroy(),
      'RegistryUnavailable',
      /cannot be reached \(ECONNRESET\)/,
    ],
    ['500', (response) => response.writeHead(500).end(), 'RegistryUnavailable', /answered 500/],
    ['404', (response) => response.writeHead(404).end(), 'ErrImagePull', /not found/],
  ]
  for (const [what, answer, reason, message] of wrong) {
    const { host } = await fakeRegistry(t, (request, response, blob) => isBig(request) && (answer(response, blob!), true))
    const { images, left } = await storeFor(t)
    await assert.rejects(images.pull(`${host}/app:v1`), { name: 'ImageError', reason, message }, what)
    assert.deepEqual(await images.list(), [])
    assert.equal(await images.prune({ highPercent: 100, lowPercent: 100 }).then((removed) => removed.length), 0)
    assert.deepEqual(left(), [], what)
  }
  const { images } = await storeFor(t)
  await assert.rejects(images.pull('127.0.0.1:1/app'), {
    reason: 'RegistryUnavailable',
    message: /127.0.0.1:1 cannot be reached \(ECONNREFUSED\)/,
  })
})

test('bearer tokens: asked for with the scope of the challenge, renewed when they run out', async (t) => {
  let tokens = 0
  const seen: string[] = []
  const { host } = await fakeRegistry(t, (request, response) => {
    const url = new URL(request.url!, 'http://x')
    if (url.pathname === '/token') {
      seen.push(`${url.search} ${request.headers.authorization}`)
      if (request.headers.authorization !== `Basic ${Buffer.from('u:p').toString('base64')}`) response.writeHead(401).end()
      else response.end(JSON.stringify({ token: `t${++tokens}` }))
      return true
    }
    const valid = isBig(request)
      ? tokens >= 2 && request.headers.authorization === `Bearer t${tokens}`
      : request.headers.authorization?.startsWith('Bearer t')
    if (valid) return false
    response
      .writeHead(401, { 'www-authenticate': `Bearer realm="http://${host}/token",service="a \\"b\\"",scope="repository:app:pull"` })
      .end()
    return true
  })
  const { images } = await storeFor(t)
  await images.pull(`${host}/app:v1`, {
    credentials: [
      { username: 'x', password: 'y' },
      { username: 'u', password: 'p' },
    ],
  })
  assert.equal(tokens, 2)
  assert.match(seen[0]!, /^\?service=a\+%22b%22&scope=repository%3Aapp%3Apull&account=x /)
  await assert.rejects(images.pull(`${host}/app:v2`), { message: /pull access denied/ })
})

test('one pull for all who want the image; it ends with the last of them', async (t) => {
  const reached = Promise.withResolvers<ServerResponse>()
  const { host, asked, blobsAsked } = await fakeRegistry(t, (request, response) => {
    if (!isBig(request)) return false
    reached.resolve(response)
    return true
  })
  const { images, left } = await storeFor(t)
  const [one, two, three] = [new AbortController(), new AbortController(), new AbortController()]
  const pulls = [one, two, three].map(({ signal }) => images.pull(`${host}/app:v1`, { signal }))
  const other = images.pull(`${host}/same:v1`, { signal: three.signal })
  const held = await reached.promise
  one.abort(new Error('enough'))
  await assert.rejects(pulls[0]!, { message: 'enough' })
  assert.equal(asked.filter((url) => url === '/v2/app/manifests/v1').length, 1)
  held.end(image.blobs.find(({ digest }) => digest === image.layers[1]!.digest)!.content)
  const [, second, third] = await Promise.allSettled([...pulls, other])
  assert.equal(second!.status, 'fulfilled')
  assert.equal(third!.status, 'fulfilled')
  assert.equal((await other).names.length, 2)
  assert.equal(blobsAsked().length, 1, 'a layer common to two pulls is fetched once')
  await images.remove((await other).id)
  assert.deepEqual(left(), [])
})

test('an abandoned pull stops and leaves nothing', async (t) => {
  const reached = Promise.withResolvers<void>()
  const { host } = await fakeRegistry(t, (request) => {
    if (!isBig(request)) return false
    reached.resolve()
    return true
  })
  const { images, left } = await storeFor(t)
  const stop = new AbortController()
  const pull = images.pull(`${host}/app:v1`, { signal: stop.signal })
  await reached.promise
  stop.abort(new Error('enough'))
  await assert.rejects(pull, { message: 'enough' })
  await images.prune({ highPercent: 100, lowPercent: 100 })
  assert.deepEqual(left(), [])
})

async function certificate(): Promise<{ cert: string; key: string }> {
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
  const made = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=test registry',
    keys,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [new BasicConstraintsExtension(true), new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  })
  const key = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return { cert: made.toString('pem'), key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n` }
}
