// Every driver under the one suite, and what only the registry and its staging do.

import assert from 'node:assert/strict'
import { cpSync, existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { mounts } from 'nft-js'
import type { KubeObject } from '#api/kinds/kind.ts'
import type { PersistentVolume, Pod } from '#api/types/core-v1.gen.ts'
import { driverConformance, type Subject } from './conformance.ts'
import { fakeDriver } from './driver.fake.ts'
import { emptyDirs } from './empty-dir.ts'
import { hostPaths } from './host-path.ts'
import { openDisk, runProgram } from './local/disk.ts'
import { localVolumes } from './local/driver.ts'
import type { Objects } from './objects.ts'
import { payloads } from './payload-driver.ts'
import { openVolumes } from './volumes.ts'

const persistentVolume = (handle: string): PersistentVolume => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: handle, uid: handle, resourceVersion: '1' },
  spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], csi: { driver: 'fake.example', volumeHandle: handle } },
  status: {},
})

/** A ConfigMap and a Secret that change by turns: a key goes, another comes, one is rewritten. */
function objectsOf(): { objects: Objects; change: () => void } {
  const versions: Record<string, string>[] = [
    { a: '1', b: '2' },
    { a: 'one', c: '3' },
  ]
  let turn = 0
  const find = async (kind: { kind: string }) => {
    const data = versions[turn] ?? {}
    const encoded = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))
    return { kind: kind.kind, data: kind.kind === 'Secret' ? encoded : data } as unknown as KubeObject
  }
  return {
    objects: { find: find as never, hold: () => () => undefined, close: async () => undefined },
    change: () => void (turn = 1 - turn),
  }
}

const tokens = { get: async () => ({ token: 'token', refreshAt: 5000 }), forget: () => undefined }

const payload =
  (volume: Subject['volume'], more: Partial<Subject> = {}) =>
  (): Subject => {
    const { objects, change } = objectsOf()
    return { open: (mounts) => payloads({ mounts, objects, tokens }), volume, change, ...more }
  }

const group = { securityContext: { fsGroup: 2000, runAsUser: 1000 } }
const sources = [{ secret: { name: 's' } }, { serviceAccountToken: { path: 'token' } }, { configMap: { name: 'c', items: [] } }]
const downward = [{ path: 'etc/labels', fieldRef: { fieldPath: 'metadata.labels' } }]

driverConformance('fake', () => ({
  open: (_, dir) => fakeDriver(dir),
  volume: { name: 'v', persistentVolumeClaim: { claimName: 'data' } },
  persistentVolume: persistentVolume('disk-1'),
}))
driverConformance('emptyDir', () => ({ open: (m) => emptyDirs({ mounts: m }), volume: { name: 'v', emptyDir: {} } }))
driverConformance('emptyDir of a group', () => ({
  open: (m) => emptyDirs({ mounts: m }),
  volume: { name: 'v', emptyDir: {} },
  spec: group,
  needs: 'root',
}))
driverConformance('emptyDir in memory', () => ({
  open: (m) => emptyDirs({ mounts: m }),
  volume: { name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
  spec: group,
  needs: 'root',
}))
driverConformance('hostPath', (dir) => ({
  open: () => hostPaths,
  volume: { name: 'v', hostPath: { path: join(dir, 'a/b'), type: 'DirectoryOrCreate' } },
}))
const made = await mkdtemp(join(tmpdir(), 'coracle-made-'))
await openDisk(made).make('pvc-1', 8 << 20)
after(() => rm(made, { recursive: true }))
driverConformance('local.coracle.dev', (dir) => {
  const disk = openDisk(join(dir, 'disk'))
  if (dir && !existsSync(join(dir, 'disk'))) cpSync(made, join(dir, 'disk'), { recursive: true })
  const { spec, ...rest } = persistentVolume('pvc-1')
  return {
    // What is mounted grows where the machine lets it (CAP_SYS_RESOURCE): not everywhere that tests run.
    open: (m) =>
      localVolumes({ mounts: m, disk, run: async (program, ...args) => (program === 'resize2fs' ? '' : runProgram(program, ...args)) }),
    volume: { name: 'v', persistentVolumeClaim: { claimName: 'data' } },
    persistentVolume: { ...rest, spec: { ...spec, csi: { driver: 'local.coracle.dev', volumeHandle: 'pvc-1' } } },
    spec: group,
    needs: 'root',
  }
})
driverConformance('configMap', payload({ name: 'v', configMap: { name: 'c' } }))
driverConformance('secret', payload({ name: 'v', secret: { secretName: 's' } }, { spec: group, needs: 'root' }))
driverConformance('downwardAPI', payload({ name: 'v', downwardAPI: { items: downward } }, { change: undefined }))
driverConformance('projected', payload({ name: 'v', projected: { sources } }, { needs: 'root' }))

test('a shared volume is staged for the first of its pods, and stays until the last has gone', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-shared-'))
  const driver = fakeDriver(join(dir, 'disks'))
  const claims = async () => persistentVolume('disk-1')
  const [podsDir, stagingDir] = [join(dir, 'pods'), join(dir, 'volumes')]
  const volumes = openVolumes({ mounts, drivers: [driver], claims, podsDir, stagingDir })
  const standing = { nodeName: 'pi', hostIPs: [], podIPs: [], allocatable: {} }
  const podOf = (uid: string): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: uid, namespace: 'shop', uid, resourceVersion: '1' },
    spec: { containers: [{ name: 'c', resources: {} }], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] },
    status: {},
  })
  const [one, two] = (await Promise.all(['u1', 'u2'].map((uid) => volumes.mount(podOf(uid), standing)))).map(
    ({ paths }) => paths.get('v') ?? '',
  )
  await writeFile(join(one ?? '', 'file'), 'from one')
  assert.equal(await readFile(join(two ?? '', 'file'), 'utf8'), 'from one')
  await volumes.unmount('u1')
  assert.ok(!driver.calls.includes('unstage disk-1'))
  assert.equal(await readFile(join(two ?? '', 'file'), 'utf8'), 'from one')

  // Its folder went with the disk, not through `unmount`: the next start finds that nobody uses the volume.
  await rm(join(podsDir, 'u2'), { recursive: true })
  await openVolumes({ mounts, drivers: [driver], claims, podsDir, stagingDir }).recover()
  assert.deepEqual(driver.calls.slice(-2), ['recover', 'unstage disk-1'])
  assert.deepEqual(await readdir(join(stagingDir, 'csi')), [])
  assert.deepEqual(await driver.list?.(), ['disk-1'])
  const again = (await volumes.mount(podOf('u3'), standing)).paths.get('v') ?? ''
  assert.equal(await readFile(join(again, 'file'), 'utf8'), 'from one')
  await rm(dir, { recursive: true })
})

test('what a kind of volume uses is counted: files once, whatever they are called', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-counted-'))
  const driver = emptyDirs({ mounts })
  const before = await driver.stats(dir)
  await writeFile(join(dir, 'a'), Buffer.alloc(1 << 20, 1))
  const after = await driver.stats(dir)
  assert.equal((after?.inodesUsed ?? 0) - (before?.inodesUsed ?? 0), 1)
  assert.ok((after?.usedBytes ?? 0) - (before?.usedBytes ?? 0) >= 1 << 20)
  await rm(dir, { recursive: true })
})
