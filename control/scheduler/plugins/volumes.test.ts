import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settle } from '#api/clock.fake.ts'
import { PersistentVolume, PersistentVolumeClaim, Pod } from '#api/kinds/index.ts'
import type { PersistentVolumeAccessMode } from '#api/types/core-v1.gen.ts'
import { namespace, setup } from '../scheduler.fake.ts'

type Setup = Awaited<ReturnType<typeof setup>>

/** Lets backoffs pass, one after the other. */
async function until(s: Setup, what: RegExp, look: () => string | Promise<string>): Promise<void> {
  await settle()
  for (let turn = 0; turn < 100 && !what.test(await look()); turn += 1) {
    s.clock.advance(1_000)
    await settle()
  }
  assert.match(await look(), what)
}

const using = (claimName: string) => ({ volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }] })

async function withVolume(accessMode: PersistentVolumeAccessMode, hostname = '') {
  const s = await setup()
  const resources = { requests: { storage: '1Gi' } }
  const terms = [{ matchFields: [{ key: 'metadata.name', operator: 'In' as const, values: [hostname] }] }]
  s.client.put(PersistentVolume, {
    metadata: { name: 'one' },
    spec: { capacity: { storage: '1Gi' }, ...(hostname && { nodeAffinity: { required: { nodeSelectorTerms: terms } } }) },
    status: { phase: 'Bound' },
  })
  const bind = () =>
    s.client.put(PersistentVolumeClaim, {
      metadata: { name: 'data', namespace, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
      spec: { accessModes: [accessMode], resources, volumeName: 'one' },
      status: { phase: 'Bound' },
    })
  const said = () => s.told.join('\n')
  const where = async () => (await s.where()).join()
  return { s, bind, resources, said, where }
}

test('a pod goes where its volume is, once it is bound, and is told why it does not before', async () => {
  const { s, bind, resources, said, where } = await withVolume('ReadWriteOnce', 'b')
  await using _ = s
  for (const name of ['a', 'b', 'c']) s.node(name)
  await s.put('web', '1', using('data'))
  await until(s, /web Warning FailedScheduling 0\/3 nodes are available: persistentvolumeclaim "data" not found\./, said)
  s.client.put(PersistentVolumeClaim, { metadata: { name: 'data', namespace }, spec: { accessModes: ['ReadWriteOnce'], resources } })
  await until(s, /0\/3 nodes are available: pod has unbound immediate PersistentVolumeClaims\./, said)
  bind()
  await until(s, /^web b$/, where)
  await s.put('large', '2', using('data'))
  await until(s, /2 node\(s\) didn't match PersistentVolume's node affinity/, said)
})

test('of a claim that is ReadWriteOncePod one pod is placed at a time', async () => {
  const { s, bind, said, where } = await withVolume('ReadWriteOncePod')
  await using _ = s
  for (const name of ['a', 'b']) s.node(name)
  bind()
  await s.put('first', '1', using('data'))
  await until(s, /first [ab]/, where)
  await s.put('second', '1', using('data'))
  await until(s, /2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode/, said)
  await s.client.delete(Pod, { namespace, name: 'first' }, { gracePeriodSeconds: 0 })
  await until(s, /^second [ab]$/, where)
})
