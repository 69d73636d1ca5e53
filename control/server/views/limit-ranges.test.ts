// LimitRange, by requests.

import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'

const core = '/api/v1/namespaces/test'
const pods = `${core}/pods`

let server: Trial
before(async () => {
  server = await trial()
})
after(() => server?.close())
afterEach(async () => {
  for (const plural of ['resourcequotas', 'limitranges', 'pods', 'persistentvolumeclaims'])
    await server.ask('DELETE', `${core}/${plural}`, { gracePeriodSeconds: 0 })
})

const say = async (...request: Parameters<Trial['ask']>) => {
  const { code, body } = await server.ask(...request)
  return code < 300 ? code : body.message
}
const asking = (requests: Json, limits?: Json) => ({
  containers: [{ name: 'c', image: 'busybox:1', resources: { requests, ...(limits && { limits }) } }],
})

describe('a limit range', () => {
  const limits = async (...items: Json[]) => {
    const { code, text } = await server.ask('POST', `${core}/limitranges`, { metadata: { name: 'r' }, spec: { limits: items } })
    assert.equal(code, 201, text)
  }

  it('gives containers what they do not ask for', async () => {
    await limits({ type: 'Container', default: { cpu: '500m', memory: '200Mi' }, defaultRequest: { cpu: '100m' } })
    const { body } = await server.ask(
      'POST',
      pods,
      pod('a', { ...asking({ cpu: '50m' }), initContainers: [{ name: 'i', image: 'busybox:1' }] }),
    )
    assert.deepEqual(body.spec.containers[0].resources, {
      requests: { cpu: '50m', memory: '200Mi' },
      limits: { cpu: '500m', memory: '200Mi' },
    })
    assert.deepEqual(body.spec.initContainers[0].resources, {
      requests: { cpu: '100m', memory: '200Mi' },
      limits: { cpu: '500m', memory: '200Mi' },
    })
    assert.equal(
      body.metadata.annotations['kubernetes.io/limit-ranger'],
      'LimitRanger plugin set: memory request for container c; cpu limit for container c; memory limit for container c; ' +
        'cpu request for init container i; memory request for init container i; cpu limit for init container i; memory limit for init container i',
    )
    assert.equal(body.status.qosClass, 'Burstable')
  })

  it('refuses too little, too much, and too far apart', async () => {
    await limits(
      { type: 'Container', min: { memory: '50Mi' }, max: { cpu: '1' }, maxLimitRequestRatio: { memory: '2' } },
      { type: 'Pod', max: { memory: '300Mi' } },
      { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } },
    )
    const say1 = (requests: Json, limited: Json) => say('POST', pods, pod('a', asking(requests, limited)))
    const is = (why: string) => `pods "a" is forbidden: ${why}`
    assert.equal(
      await say1({ memory: '40Mi', cpu: '1' }, { memory: '40Mi', cpu: '2' }),
      is('[minimum memory usage per Container is 50Mi, but request is 40Mi, maximum cpu usage per Container is 1, but limit is 2]'),
    )
    assert.equal(
      await say1({ memory: '60Mi' }, { memory: '150Mi' }),
      is('memory max limit to request ratio per Container is 2, but provided ratio is 2.500000'),
    )
    assert.equal(await say1({ memory: '300Mi' }, { memory: '400Mi' }), is('maximum memory usage per Pod is 300Mi, but limit is 400Mi'))
    assert.equal(await say1({ memory: '60Mi' }, { memory: '100Mi' }), 201)
    const claim = (size: string) => ({
      metadata: { name: 'c' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } } },
    })
    const claims = `${core}/persistentvolumeclaims`
    assert.equal(
      await say('POST', claims, claim('3Gi')),
      'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
    )
    assert.equal(
      await say('POST', claims, claim('500Mi')),
      'persistentvolumeclaims "c" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi',
    )
    assert.equal(await say('POST', claims, claim('1Gi')), 201)
  })

  it('lets pods meet a quota that they know nothing of', async () => {
    await limits({ type: 'Container', default: { cpu: '200m' } })
    const quota = { metadata: { name: 'cpu' }, spec: { hard: { 'limits.cpu': '500m' } } }
    assert.equal(await say('POST', `${core}/resourcequotas`, quota), 201)
    assert.equal(await say('POST', pods, pod('a')), 201)
    assert.equal(await say('POST', pods, pod('b')), 201)
    assert.match(
      await say('POST', pods, pod('c')),
      /exceeded quota: cpu, requested: limits\.cpu=200m, used: limits\.cpu=400m, limited: limits\.cpu=500m$/,
    )
  })
})
