import assert from 'node:assert/strict'
import { once } from 'node:events'
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { mounts } from 'nft-js'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { Pod, Volume } from '#api/types/core-v1.gen.ts'
import { emptyDirs } from './empty-dir.ts'
import { hostPaths } from './host-path.ts'
import { mountsUnder } from './mount-table.ts'
import type { Objects } from './objects.ts'
import { payloads } from './payload-driver.ts'
import { openVolumes } from './volumes.ts'

const root = process.getuid?.() === 0 ? {} : { skip: 'needs root' }
const standing = { nodeName: 'pi', hostIPs: ['10.0.0.1'], podIPs: ['10.42.0.9'], allocatable: { cpu: '4', memory: '1Gi' } }

async function setup(t: TestContext) {
  const podsDir = await mkdtemp(join(tmpdir(), 'coracle-volumes-'))
  const stored = new Map<string, KubeObject>()
  const objects: Objects = {
    find: async (kind, ref) => stored.get(`${kind.kind}/${ref.namespace}/${ref.name}`) as never,
    hold: () => () => undefined,
    close: async () => undefined,
  }
  let issued = 0
  const tokens = { get: async () => ({ token: `token-${++issued}`, refreshAt: 5000 + issued }), forget: () => undefined }
  const drivers = [emptyDirs({ mounts }), hostPaths, payloads({ mounts, objects, tokens })]
  const volumes = openVolumes({ mounts, drivers, podsDir, stagingDir: join(podsDir, 'none') })
  t.after(async () => {
    for (const target of await mountsUnder(podsDir)) await mounts.unmount(target, { detach: true })
    await rm(podsDir, { recursive: true })
  })
  const store = (kind: string, name: string, body: object) =>
    stored.set(`${kind}/shop/${name}`, {
      apiVersion: 'v1',
      kind,
      metadata: { name, namespace: 'shop', uid: name, resourceVersion: '1' },
      ...body,
    })
  return { volumes, store, stored, podsDir }
}

const podWith = (volumes: Volume[], more: Partial<Pod['spec']> = {}): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1', labels: { app: 'web', tier: 'a"b' } },
  spec: { containers: [{ name: 'c', resources: { limits: { memory: '64Mi' } } }], volumes, ...more },
  status: {},
})
const text = (path: string) => readFile(path, 'utf8')

test('a config map changes all at once, and what it no longer has disappears', async (t) => {
  const { volumes, store } = await setup(t)
  const pod = podWith([{ name: 'conf', configMap: { name: 'settings' } }])
  store('ConfigMap', 'settings', { data: { a: '1', b: '2' }, binaryData: { raw: 'AAE=' } })
  const path = (await volumes.mount(pod, standing)).paths.get('conf')!
  assert.equal(await text(join(path, 'a')), '1')
  assert.deepEqual([...(await readFile(join(path, 'raw')))], [0, 1])
  const first = await readlink(join(path, '..data'))

  await volumes.mount(pod, standing)
  assert.equal(await readlink(join(path, '..data')), first, 'unchanged objects are not written again')

  store('ConfigMap', 'settings', { data: { a: 'one', c: '3' } })
  await volumes.mount(pod, standing)
  assert.deepEqual((await readdir(path)).filter((name) => !name.startsWith('..')).sort(), ['a', 'c'])
  assert.equal(await text(join(path, 'a')), 'one')
  assert.notEqual(await readlink(join(path, '..data')), first)
  assert.deepEqual((await readdir(path)).filter((name) => name.startsWith('..2')).length, 1)
})

test('items choose keys, paths and modes', async (t) => {
  const { volumes, store } = await setup(t)
  store('ConfigMap', 'settings', { data: { a: '1', b: '2' } })
  const items = [{ key: 'b', path: 'etc/b.conf', mode: 0o400 }]
  const pod = podWith([{ name: 'conf', configMap: { name: 'settings', items, defaultMode: 0o600 } }])
  const path = (await volumes.mount(pod, standing)).paths.get('conf')!
  assert.equal(await text(join(path, 'etc/b.conf')), '2')
  assert.equal((await stat(join(path, 'etc/b.conf'))).mode & 0o777, 0o400)
  await assert.rejects(stat(join(path, 'a')))
})

test('a missing object names the volume and the object, unless it is optional', async (t) => {
  const { volumes } = await setup(t)
  const required = podWith([{ name: 'conf', configMap: { name: 'settings' } }])
  await assert.rejects(volumes.mount(required, standing), {
    name: 'VolumeError',
    message: 'MountVolume.SetUp failed for volume "conf" : configmap "settings" not found',
  })
  const optional = podWith([{ name: 'conf', configMap: { name: 'settings', optional: true } }])
  const path = (await volumes.mount(optional, standing)).paths.get('conf')!
  assert.deepEqual(
    (await readdir(path)).filter((name) => !name.startsWith('..')),
    [],
  )
})

test('a path that leads out of its volume is refused', async (t) => {
  const { volumes, store } = await setup(t)
  store('ConfigMap', 'settings', { data: { a: '1' } })
  for (const path of ['../x', '/etc/x', 'a/../../x', '..data']) {
    const pod = podWith([{ name: 'conf', configMap: { name: 'settings', items: [{ key: 'a', path }] } }])
    await assert.rejects(volumes.mount(pod, standing), { name: 'VolumeError' }, path)
  }
})

test('secrets are in memory, and are unmounted with the pod', root, async (t) => {
  const { volumes, store, podsDir } = await setup(t)
  store('Secret', 'key', { data: { password: Buffer.from('hunter2').toString('base64') } })
  const pod = podWith([{ name: 'key', secret: { secretName: 'key', defaultMode: 0o400 } }])
  const path = (await volumes.mount(pod, standing)).paths.get('key')!
  assert.equal(await text(join(path, 'password')), 'hunter2')
  assert.equal((await stat(join(path, 'password'))).mode & 0o777, 0o400)
  await volumes.mount(pod, standing)
  assert.deepEqual(await mountsUnder(podsDir), [path])
  assert.deepEqual(await volumes.list(), ['u1'])

  await volumes.unmount('u1')
  await volumes.unmount('u1')
  assert.deepEqual(await mountsUnder(podsDir), [])
  assert.deepEqual(await volumes.list(), [])
})

test('a projected volume gathers its sources and says when its token runs out', root, async (t) => {
  const { volumes, store } = await setup(t)
  store('ConfigMap', 'kube-root-ca.crt', { data: { 'ca.crt': 'PEM' } })
  const sources = [
    { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    { downwardAPI: { items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }] } },
  ]
  const pod = podWith([{ name: 'api', projected: { sources, defaultMode: 0o644 } }], { securityContext: { runAsUser: 1000 } })
  const { paths, refreshAt } = await volumes.mount(pod, standing)
  const path = paths.get('api')!
  assert.equal(refreshAt, 5001)
  assert.equal(await text(join(path, 'token')), 'token-1')
  assert.equal(await text(join(path, 'ca.crt')), 'PEM')
  assert.equal(await text(join(path, 'namespace')), 'shop')
  const facts = await stat(join(path, 'token'))
  assert.deepEqual([facts.uid, facts.mode & 0o777], [1000, 0o600])
})

test('the downward API as files', async (t) => {
  const { volumes } = await setup(t)
  const items = [
    { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
    { path: 'app', fieldRef: { fieldPath: "metadata.labels['app']" } },
    { path: 'memory', resourceFieldRef: { containerName: 'c', resource: 'limits.memory', divisor: '1Mi' } },
    { path: 'cpu', resourceFieldRef: { containerName: 'c', resource: 'limits.cpu' } },
  ]
  const path = (await volumes.mount(podWith([{ name: 'me', downwardAPI: { items } }]), standing)).paths.get('me')!
  assert.equal(await text(join(path, 'labels')), 'app="web"\ntier="a\\"b"')
  assert.equal(await text(join(path, 'app')), 'web')
  assert.equal(await text(join(path, 'memory')), '64')
  assert.equal(await text(join(path, 'cpu')), '4', 'an unset limit is what the node offers')
})

test('an emptyDir is open to all, keeps its contents, and belongs to the group where there is one', root, async (t) => {
  const { volumes } = await setup(t)
  const pod = podWith([{ name: 'data', emptyDir: {} }])
  const path = (await volumes.mount(pod, standing)).paths.get('data')!
  assert.equal((await stat(path)).mode & 0o7777, 0o777)
  await writeFile(join(path, 'kept'), 'yes')
  await volumes.mount(pod, standing)
  assert.equal(await text(join(path, 'kept')), 'yes')

  const grouped = podWith([{ name: 'shared', emptyDir: {} }], { securityContext: { fsGroup: 2000 } })
  const facts = await stat((await volumes.mount(grouped, standing)).paths.get('shared')!)
  assert.deepEqual([facts.gid, facts.mode & 0o7777], [2000, 0o2777])
})

test('an emptyDir in memory has the least of its limits', root, async (t) => {
  const { volumes, podsDir } = await setup(t)
  const pod = podWith([{ name: 'fast', emptyDir: { medium: 'Memory', sizeLimit: '1Gi' } }])
  const path = (await volumes.mount(pod, standing)).paths.get('fast')!
  const line = (await text('/proc/self/mountinfo')).split('\n').find((one) => one.includes(podsDir))!
  assert.match(line, /size=65536k/)
  assert.equal((await stat(path)).mode & 0o777, 0o777)
})

test('a host path is checked for its type', async (t) => {
  const { volumes, podsDir } = await setup(t)
  const mount = (path: string, type: string) =>
    volumes.mount(podWith([{ name: 'host', hostPath: { path: join(podsDir, path), type: type as 'File' } }]), standing)
  await assert.rejects(mount('none', 'Directory'), /hostPath type check failed: .*none is not a directory/)
  await assert.rejects(mount('none', 'File'), /is not a file/)
  await mount('file', 'FileOrCreate')
  assert.equal((await stat(join(podsDir, 'file'))).isFile(), true)
  await assert.rejects(mount('file', 'DirectoryOrCreate'), /is not a directory/)
  await mount('dir/deep', 'DirectoryOrCreate')
  await mount('anything', '')
  assert.equal((await stat(join(podsDir, 'anything'))).isDirectory(), true)
})

test('a volume type that is not supported says so', async (t) => {
  const { volumes } = await setup(t)
  await assert.rejects(
    volumes.mount(podWith([{ name: 'share', nfs: { server: 's', path: '/p' } }]), standing),
    /volumes of type nfs are not supported/,
  )
})

test('a part of a volume is mounted by itself, and a link in it leads nowhere else', root, async (t) => {
  const { volumes, podsDir } = await setup(t)
  const pod = podWith([{ name: 'data', emptyDir: {} }])
  const path = (await volumes.mount(pod, standing)).paths.get('data')!
  const volume = { name: 'data', path }
  await mkdir(join(path, 'real'))
  await writeFile(join(path, 'real/file'), 'inside')
  await symlink('real', join(path, 'near'))
  await symlink('/etc', join(path, 'far'))
  await symlink('../../../..', join(path, 'up'))

  assert.equal(await text(join(await volumes.subPath(pod, volume, 'c', 0, 'near'), 'file')), 'inside')
  assert.equal(await text(await volumes.subPath(pod, volume, 'c', 1, 'real/file')), 'inside')
  const made = await volumes.subPath(pod, volume, 'c', 2, 'new/deep')
  assert.equal((await lstat(made)).isDirectory(), true)
  assert.equal((await stat(join(path, 'new/deep'))).mode & 0o777, 0o777)
  for (const bad of ['far', 'far/passwd', 'up', '../x', '/etc']) {
    await assert.rejects(volumes.subPath(pod, volume, 'c', 3, bad), { name: 'VolumeError' }, bad)
  }
  await assert.rejects(stat('/etc/new'))
  await assert.rejects(volumes.subPath(pod, volume, 'c', 3, 'far/made/here'), { name: 'VolumeError' })
  await assert.rejects(stat('/etc/made'))
  await volumes.unmount('u1')
  assert.deepEqual(await mountsUnder(podsDir), [])
})

test('files belong to root, and a token alone to the user of its pod', root, async (t) => {
  const { volumes, store } = await setup(t)
  store('ConfigMap', 'settings', { data: { a: '1' } })
  store('Secret', 'key', { data: { b: 'Mg==' } })
  const sources = [{ configMap: { name: 'settings' } }, { secret: { name: 'key' } }, { serviceAccountToken: { path: 'token' } }]
  const all = [
    { name: 'conf', configMap: { name: 'settings' } },
    { name: 'key', secret: { secretName: 'key', defaultMode: 0o400 } },
    { name: 'both', projected: { sources, defaultMode: 0o644 } },
  ]
  const access = async (securityContext: object, uid: string) => {
    const pod = podWith(all, { securityContext })
    const { paths } = await volumes.mount({ ...pod, metadata: { ...pod.metadata, uid } }, standing)
    const facts = ['conf/a', 'key/b', 'both/a', 'both/b', 'both/token'].map(async (path) => {
      const [volume, file] = path.split('/')
      const { uid, gid, mode } = await stat(join(paths.get(volume!)!, file!))
      return `${path} ${uid}:${gid} ${(mode & 0o777).toString(8)}`
    })
    return Promise.all(facts)
  }
  assert.deepEqual(await access({ runAsUser: 1000 }, 'u1'), [
    'conf/a 0:0 644',
    'key/b 0:0 400',
    'both/a 0:0 644',
    'both/b 0:0 644',
    'both/token 1000:0 600',
  ])
  assert.deepEqual(await access({ runAsUser: 1000, fsGroup: 5 }, 'u2'), [
    'conf/a 0:5 644',
    'key/b 0:5 440',
    'both/a 0:5 644',
    'both/b 0:5 644',
    'both/token 0:5 640',
  ])
  assert.deepEqual(await access({}, 'u3'), ['conf/a 0:0 644', 'key/b 0:0 400', 'both/a 0:0 644', 'both/b 0:0 644', 'both/token 0:0 644'])
})

test('a part of a config map is the newest one for the next container', root, async (t) => {
  const { volumes, store } = await setup(t)
  const pod = podWith([{ name: 'conf', configMap: { name: 'settings' } }])
  const bound = async () => {
    const path = (await volumes.mount(pod, standing)).paths.get('conf')!
    return volumes.subPath(pod, { name: 'conf', path }, 'c', 0, 'a')
  }
  store('ConfigMap', 'settings', { data: { a: '1' } })
  const target = await bound()
  const before = await stat(target)
  await bound()
  assert.equal((await stat(target)).ino, before.ino)
  store('ConfigMap', 'settings', { data: { a: 'two' } })
  assert.equal(await text(await bound()), 'two')
  assert.deepEqual((await mountsUnder(target)).length, 1)
  await volumes.unmount('u1')
})

/** Turns one name of a folder from a folder into a link to another and back, for as long as it is let. */
const swapping = (folder: string, outside: string) => `
  const { symlinkSync, mkdirSync, rmSync } = require('node:fs')
  const { parentPort } = require('node:worker_threads')
  const [folder, outside] = ${JSON.stringify([folder, outside])}
  parentPort.postMessage('swapping')
  // Whoever looks a part up may make the same name at the same moment: then this turn is lost.
  const put = (make) => {
    try {
      rmSync(folder + '/a', { recursive: true, force: true })
      make(folder + '/a')
    } catch {}
  }
  const turn = () => {
    for (let n = 0; n < 20; n++) {
      put((at) => symlinkSync(outside, at))
      put((at) => mkdirSync(at))
    }
    setTimeout(turn, Math.random() * 20)
  }
  turn()`

test('a container that swaps a folder for a link while its part is looked up gets nothing outside', root, async (t) => {
  const { volumes, podsDir } = await setup(t)
  const pod = podWith([{ name: 'data', emptyDir: {} }])
  const path = (await volumes.mount(pod, standing)).paths.get('data')!
  const outside = join(podsDir, 'outside')
  await mkdir(outside)
  const worker = new Worker(swapping(path, outside), { eval: true })
  await once(worker, 'message')
  const outcomes = { bound: 0, refused: 0 }
  while (outcomes.bound < 5 || outcomes.refused < 50) {
    try {
      const target = await volumes.subPath(pod, { name: 'data', path }, 'c', 0, 'a/b/c')
      assert.notEqual((await stat(target)).ino, (await stat(outside)).ino)
      outcomes.bound++
    } catch (error) {
      assert(!(error instanceof assert.AssertionError), error as Error)
      outcomes.refused++
    }
    assert.deepEqual(await readdir(outside), [])
  }
  await worker.terminate()
  await volumes.unmount('u1')
})
