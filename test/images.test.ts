// Images from a registry, as pods get them: plain, and with a password from an image pull secret.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { buildImage, tar } from '../images/archive.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { run } from './cluster/shell.ts'
import { dockerRegistry } from './registry/docker-registry.ts'

const { plan, kubectl } = await testCluster({ nodes: 1 })
const busybox = (await run('sh', '-c', 'command -v busybox')).trim()
const image = buildImage({
  names: [],
  architecture: process.arch === 'x64' ? 'amd64' : process.arch,
  layers: [
    await tar([
      { path: 'bin', type: 'directory' },
      { path: 'bin/busybox', content: await readFile(busybox), mode: 0o755 },
    ]),
  ],
  config: { Entrypoint: ['/bin/busybox', 'echo', 'from the registry:'], Cmd: ['by default'], Env: ['A=B'] },
})
const state = (pod: string) =>
  kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.phase} {.status.containerStatuses[0].state.waiting.reason}')

test('a pod pulls its image from a plain registry and runs its entrypoint; a second one finds it there', async (t) => {
  const { host, push } = await dockerRegistry(t, { image })
  await push('team/app', 'v1')
  await kubectl('run', 'pulled', `--image=${host}/team/app:v1`, '--restart=Never')
  await eventually(async () => assert.match(await state('pulled'), /^Succeeded/))
  assert.equal(await kubectl('logs', 'pulled'), 'from the registry: by default\n')
  assert.match(await kubectl('describe', 'pod', 'pulled'), /Successfully pulled image/)
  await kubectl('run', 'again', `--image=${host}/team/app:v1`, '--restart=Never', '--', 'once more')
  await eventually(async () => assert.match(await state('again'), /^Succeeded/))
  assert.equal(await kubectl('logs', 'again'), 'from the registry: once more\n')
  assert.match(await kubectl('describe', 'pod', 'again'), /already present on machine/)
  await kubectl('delete', 'pod', 'pulled', 'again')
})

test('a registry that wants a password: refused without it, pulled with the secret of the pod', async (t) => {
  // bcrypt of "secret", cost 4
  const { host, push } = await dockerRegistry(t, { image, htpasswd: 'user:$2b$04$7QAVd6lT/nArLQWKToxzB.e4ODd.nGo9UQnOs2x.x4KI9ncMXsAQm\n' })
  await push('app', 'v1', { authorization: `Basic ${Buffer.from('user:secret').toString('base64')}` })
  await kubectl('run', 'refused', `--image=${host}/app:v1`, '--restart=Never')
  await eventually(async () => assert.match(await state('refused'), /ErrImagePull|ImagePullBackOff/))
  assert.match(await kubectl('describe', 'pod', 'refused'), /pull access denied/)
  await kubectl(
    'create',
    'secret',
    'docker-registry',
    'login',
    `--docker-server=${host}`,
    '--docker-username=user',
    '--docker-password=secret',
  )
  await kubectl(
    'run',
    'let-in',
    `--image=${host}/app:v1`,
    '--restart=Never',
    '--overrides={"spec":{"imagePullSecrets":[{"name":"login"}]}}',
  )
  await eventually(async () => assert.match(await state('let-in'), /^Succeeded/))
  await kubectl('delete', 'pod', 'refused', 'let-in')
})

test('coracle image: what pods pulled is listed, and what nothing uses can be removed', async () => {
  const coracle = resolve(import.meta.dirname, '../bin/coracle')
  const image = (...args: string[]) => run(coracle, 'image', ...args, `--data-dir=${plan.nodes[0]?.dir}`)
  const listed = await image('list')
  assert.match(listed, /IMAGE +ID +SIZE\n/)
  const [name = ''] = /\S+\/team\/app:v1/.exec(listed) ?? []
  assert.equal(await image('remove', name), `removed ${name}\n`)
  assert.ok(!(await image('list')).includes(name))
  await assert.rejects(image('remove', name), /no image/)
})
