import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import { StatusError } from '#api/errors.ts'
import { Lease, Node } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import type { Image } from '../images/images.ts'
import type { Facts } from './facts.ts'
import type { Instance } from './instance.ts'
import { type NodeAgent, openNode } from './node.ts'
import type { Measured } from './pressure.ts'

const facts: Facts = {
  info: {
    machineID: 'm',
    systemUUID: 's',
    bootID: 'b',
    kernelVersion: '6.1',
    osImage: 'Debian GNU/Linux 12 (bookworm)',
    containerRuntimeVersion: 'runc://1.1.5',
    kubeletVersion: 'v1.33.0',
    kubeProxyVersion: 'v1.33.0',
    operatingSystem: 'linux',
    architecture: 'arm64',
  },
  cpus: 4,
  memoryBytes: 2 ** 30,
  diskBytes: 10_000_000_000,
}
const roomy: Measured = { memoryAvailable: 2 ** 29, diskAvailable: 5e9, diskTotal: 1e10, pids: 100, pidsMax: 32_768 }

function setup(t: TestContext) {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const measured = { ...roomy }
  const images: Image[] = []
  const events: string[] = []
  let node: NodeAgent | undefined
  let moved: (addresses: readonly string[]) => void = () => {}
  const addresses = {
    current: ['10.0.0.1'] as readonly string[],
    on(changed: typeof moved) {
      moved = changed
      return () => {}
    },
  }
  const move = (...to: string[]) => {
    addresses.current = to
    moved(to)
  }
  const open = (instance: Instance = { id: 'one', taken: false, took() {} }) =>
    (node = openNode({
      client,
      clock,
      random: () => 0.5,
      log: silent,
      events: {
        event: (_object, type, reason, message) => void events.push(`${type} ${reason} ${message}`),
        flush: async () => undefined,
        close: async () => undefined,
      },
      facts,
      measure: async () => measured,
      images: { list: async () => images },
      name: 'pi',
      instance,
      addresses,
      port: 10250,
      labels: { zone: 'shed' },
    }))
  t.after(async () => {
    await node?.close()
    assert.equal(clock.pending, 0, 'timers are left')
  })
  const stored = () => client.get(Node, { name: 'pi' })
  const condition = async (type: string) => (await stored()).status.conditions?.find((one) => one.type === type)
  const allot = async () =>
    client.put(Node, { ...(await stored()), spec: { podCIDR: '10.42.1.0/24', podCIDRs: ['10.42.1.0/24', 'fd42:0:0:1::/64'] } })
  const writes = (text: string) => client.writes.filter((write) => write.includes(text)).length
  return { move, clock, client, measured, images, events, open, stored, condition, allot, writes }
}

test('a node registers, gets its range, and becomes ready when told so', async (t) => {
  const { clock, open, stored, condition, allot, events } = setup(t)
  const node = open()
  await settle()
  const { metadata, status } = await stored()
  assert.deepEqual(metadata.labels, {
    zone: 'shed',
    'kubernetes.io/hostname': 'pi',
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'arm64',
  })
  assert.deepEqual(status.capacity, { cpu: '4', memory: '1048576Ki', 'ephemeral-storage': '9765625Ki', pods: '110' })
  assert.deepEqual(status.allocatable, { cpu: '4', memory: '946176Ki', 'ephemeral-storage': '9000000000', pods: '110' })
  assert.deepEqual(status.addresses, [
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'Hostname', address: 'pi' },
  ])
  assert.equal(status.daemonEndpoints.kubeletEndpoint.Port, 10250)
  const before = await condition('Ready')
  assert.deepEqual([before?.status, before?.reason, before?.message], ['False', 'KubeletNotReady', 'the pod network is not ready yet'])

  await allot()
  await clock.advance(100)
  assert.deepEqual(await node.podCIDRs(), ['10.42.1.0/24', 'fd42:0:0:1::/64'])
  node.setNotReady(undefined)
  await node.ready
  assert.equal((await condition('Ready'))?.status, 'True')
  assert.deepEqual(events, ['Normal NodeReady Node pi status is now: NodeReady'])
})

test('the status is written when it changes, and every five minutes', async (t) => {
  const { clock, open, allot, images, measured, condition, writes, stored } = setup(t)
  open()
  await settle()
  await allot()
  await clock.advance(60_000)
  assert.equal(writes('Node/status'), 1)
  images.push({ names: ['busybox:1'], digests: [], size: 7 } as unknown as Image)
  await clock.advance(10_000)
  assert.equal(writes('Node/status'), 2)
  assert.deepEqual((await stored()).status.images, [{ names: ['busybox:1'], sizeBytes: 7 }])
  measured.diskAvailable = 1000
  await clock.advance(10_000)
  const pressure = await condition('DiskPressure')
  assert.deepEqual(
    [pressure?.status, pressure?.reason, pressure?.lastTransitionTime],
    ['True', 'KubeletHasDiskPressure', '2025-01-01T00:01:10Z'],
  )
  assert.equal((await condition('MemoryPressure'))?.lastTransitionTime, '2025-01-01T00:00:00Z')
  await clock.advance(300_000)
  assert.equal(writes('Node/status'), 4)
  assert.equal((await condition('MemoryPressure'))?.lastTransitionTime, '2025-01-01T00:00:00Z')
})

test('the lease is renewed every ten seconds', async (t) => {
  const { clock, open, client, stored } = setup(t)
  open()
  await settle()
  const ref = { namespace: 'kube-node-lease', name: 'pi' }
  const made = await client.get(Lease, ref)
  assert.deepEqual(made.spec, { holderIdentity: 'pi', leaseDurationSeconds: 40, renewTime: '2025-01-01T00:00:00.000000Z' })
  assert.equal(made.metadata.ownerReferences?.[0]?.uid, (await stored()).metadata.uid)
  await clock.advance(20_000)
  assert.equal((await client.get(Lease, ref)).spec.renewTime, '2025-01-01T00:00:20.000000Z')
})

test('a server that is away is waited for; a node that was deleted comes back', async (t) => {
  const { clock, open, client, stored } = setup(t)
  let away = true
  client.intercept(() => {
    if (away) throw new StatusError('ServiceUnavailable', 'connection refused')
  })
  open()
  await clock.advance(30_000)
  away = false
  await clock.advance(10_000)
  const first = (await stored()).metadata.uid

  client.drop(Node, { name: 'pi' })
  await clock.advance(20_000)
  assert.notEqual((await stored()).metadata.uid, first)
})

test('a node that was not heard of for a while tells its status again, whatever was made of it meanwhile', async (t) => {
  const { clock, open, client, stored, condition, allot } = setup(t)
  const node = open()
  await settle()
  await allot()
  node.setNotReady(undefined)
  await clock.advance(1000)
  assert.equal((await condition('Ready'))?.status, 'True')
  let away = true
  client.intercept(() => {
    if (away) throw new StatusError('ServiceUnavailable', 'connection refused')
  })
  await clock.advance(60_000)
  away = false
  client.intercept(undefined)
  const lost = await stored()
  const conditions = lost.status.conditions?.map((each) => ({ ...each, status: 'Unknown' as const, lastTransitionTime: 'then' }))
  client.put(Node, { ...lost, status: { ...lost.status, conditions } })
  await clock.advance(15_000)
  const ready = await condition('Ready')
  assert.deepEqual([ready?.status, ready?.reason], ['True', 'KubeletReady'])
  assert.match(ready?.lastTransitionTime ?? '', /^2025-01-01T00:01:/)
})

test('a restarted agent finds its Node and keeps what others made of it', async (t) => {
  const { clock, open, client, stored } = setup(t)
  client.put(Node, { metadata: { name: 'pi', labels: { mine: 'yes' } }, spec: { podCIDR: '10.42.7.0/24', unschedulable: true } })
  const node = open()
  await clock.advance(0)
  assert.deepEqual(await node.podCIDRs(), ['10.42.7.0/24'])
  const { metadata, spec } = await stored()
  assert.equal(metadata.labels?.mine, 'yes')
  assert.equal(spec.unschedulable, true)
})

test('a node that is at other addresses says so at once', async (t) => {
  const { clock, open, allot, stored, move } = setup(t)
  open()
  await settle()
  await allot()
  await clock.advance(100)
  move('10.0.0.9', 'fd00::9')
  await settle()
  assert.deepEqual((await stored()).status.addresses, [
    { type: 'InternalIP', address: '10.0.0.9' },
    { type: 'InternalIP', address: 'fd00::9' },
    { type: 'Hostname', address: 'pi' },
  ])
})

test('features become labels; those that are no longer true go, and others stay', async (t) => {
  const { open, stored, client, clock, writes } = setup(t)
  const node = open()
  await settle()
  node.setFeatures({ 'hardware.coracle.dev/board': 'x', 'hardware.coracle.dev/medium-sd': 'true' })
  await settle()
  await client.patch(Node, { name: 'pi' }, 'merge', { metadata: { labels: { mine: 'yes' } } })
  node.setFeatures({ 'hardware.coracle.dev/board': 'x' })
  await settle()
  const { labels = {} } = (await stored()).metadata
  assert.deepEqual(
    [labels['hardware.coracle.dev/board'], labels['hardware.coracle.dev/medium-sd'], labels['mine']],
    ['x', undefined, 'yes'],
  )
  const before = writes('patch Node')
  await clock.advance(10_000)
  await settle()
  assert.equal(writes('patch Node'), before, 'nothing is written again')
})

test('a weak supply is a condition, on machines that tell', async (t) => {
  const { open, condition, measured, clock } = setup(t)
  open()
  await settle()
  assert.equal(await condition('UnderVoltage'), undefined)
  measured.supply = { undervoltage: true, throttled: false }
  await clock.advance(10_000)
  await settle()
  assert.deepEqual([(await condition('UnderVoltage'))?.status, (await condition('CPUThrottled'))?.status], ['True', 'False'])
})

test('the name is its last machine’s: one that finds another’s id there tells nothing more', async (t) => {
  const { client, clock, open, stored, allot, writes } = setup(t)
  const one = { id: 'one', taken: false, took: () => void (one.taken = true) }
  const node = open(one)
  await settle()
  assert.equal((await stored()).metadata.annotations?.['coracle/instance'], 'one')
  assert.equal(one.taken, true)
  await allot()
  await client.patch(Node, { name: 'pi' }, 'merge', { metadata: { annotations: { 'coracle/instance': 'two' } } })
  await clock.advance(300_000)
  const { message } = await node.replaced
  assert.equal(message, 'another machine has joined the cluster as pi since this one did')
  const before = [writes('Node'), writes('Lease')]
  await clock.advance(600_000)
  assert.deepEqual([writes('Node'), writes('Lease')], before)
  await node.close()

  const again = open(one)
  await again.replaced
  await again.close()
  const two = open({ id: 'three', taken: false, took() {} })
  await settle()
  assert.equal((await stored()).metadata.annotations?.['coracle/instance'], 'three', 'who joins takes it')
  await two.close()
})
