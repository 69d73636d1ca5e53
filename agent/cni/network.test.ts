import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { namespaces } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { cleanupCni, cniNetwork, cniPlaces } from './network.ts'
import { type FakePlugins, fails, fakePlugins, fakeResult, prints } from './plugins.fake.ts'

const pod = { uid: 'u-1', namespace: 'shop', name: 'web', hostname: 'web' }
const inApi = (more: Partial<Pod['metadata']> = {}, ports: object[] = []): Pod =>
  ({ metadata: { uid: 'u-1', namespace: 'shop', name: 'web', ...more }, spec: { containers: [{ name: 'c', ports }] } }) as Pod

const list = (more: object = {}) => ({
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    { type: 'main', mtu: 1400 },
    { type: 'chained', capabilities: { portMappings: true, bandwidth: false } },
  ],
  ...more,
})

/** Two plugins in a list, and a network over them; what is left at the end is taken away. */
const place = async (t: TestContext, config: object = list()) => {
  const undo: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const step of undo.reverse()) await step()
  })
  const later = { after: (step: () => Promise<void>) => void undo.push(step) }
  const plugins = await fakePlugins(later)
  const netns = await freshNetns(later)
  await plugins.plugin('main')
  await plugins.plugin('chained')
  await plugins.configure('10-pods.conflist', config)
  later.after(async () => {
    for (const kind of ['net', 'ipc', 'uts']) await namespaces.unpin(join(cniPlaces(plugins.data).sandboxes, pod.uid, kind))
  })
  return { ...plugins, netns }
}
type Place = FakePlugins & { netns: string }

const open = ({ bin, conf, data, netns }: Place, known: () => Pod | undefined = inApi, log = silent) =>
  cniNetwork({ confDir: conf, binDirs: [bin], podOf: known })({ dataDir: data, dnsAddresses: ['10.43.0.10'], netns, log })

test('a pod is attached by all plugins in order, and detached in reverse with what they answered', { skip: needsRoot }, async (t) => {
  const at = await place(t)
  const chained = { ...fakeResult(), dns: { nameservers: ['10.88.0.1'] } }
  await at.plugin('chained', { ADD: prints(chained) })
  const ports = [
    { containerPort: 80, hostPort: 8080 },
    { containerPort: 53, hostPort: 53, protocol: 'UDP', hostIP: '10.0.0.1' },
    { containerPort: 1 },
  ]
  const network = await open(at, () => inApi({ annotations: { 'kubernetes.io/ingress-bandwidth': '10M' } }, ports))
  const [one, two] = await Promise.all([network.setup(pod), network.setup(pod)])
  assert.deepEqual(one, two)
  assert.deepEqual(one.ips, ['10.88.0.5'])
  assert(namespaces.isPinned(one.namespaces.net) && namespaces.isPinned(one.namespaces.ipc) && namespaces.isPinned(one.namespaces.uts))
  assert.deepEqual(await at.calls(), ['ADD main', 'ADD chained'])
  assert.deepEqual(await network.list(), ['u-1'])

  const first = await at.last('ADD main')
  assert.deepEqual(first.config, { type: 'main', mtu: 1400, name: 'pods', cniVersion: '1.0.0' })
  assert.deepEqual(
    ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS'].map((name) => first.env[name]),
    [
      'u-1',
      one.namespaces.net,
      'eth0',
      'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=u-1;K8S_POD_UID=u-1',
    ],
  )
  const runtimeConfig = {
    portMappings: [
      { hostPort: 8080, containerPort: 80, protocol: 'tcp', hostIP: '' },
      { hostPort: 53, containerPort: 53, protocol: 'udp', hostIP: '10.0.0.1' },
    ],
  }
  assert.deepEqual((await at.last('ADD chained')).config, {
    type: 'chained',
    name: 'pods',
    cniVersion: '1.0.0',
    runtimeConfig,
    prevResult: fakeResult(),
  })

  // Whatever is configured by then, the pod is detached as it was attached.
  await at.configure('10-pods.conflist', list({ name: 'others' }))
  await network.teardown('u-1')
  await network.teardown('u-1')
  assert.deepEqual((await at.calls()).slice(2), ['DEL chained', 'DEL main'])
  assert.deepEqual((await at.last('DEL chained')).config, {
    type: 'chained',
    name: 'pods',
    cniVersion: '1.0.0',
    runtimeConfig,
    prevResult: chained,
  })
  assert.deepEqual((await at.last('DEL main')).config['prevResult'], chained)
  assert.equal(namespaces.isPinned(one.namespaces.net), false)
  assert.deepEqual(await network.list(), [])
  await network.close()
})

test('bandwidth goes to the plugin that can limit it; what is unreasonable is told', { skip: needsRoot }, async (t) => {
  const at = await place(t, list({ plugins: [{ type: 'main', capabilities: { bandwidth: true } }] }))
  let annotations: Record<string, string> = { 'kubernetes.io/ingress-bandwidth': '10M', 'kubernetes.io/egress-bandwidth': '1G' }
  const network = await open(at, () => inApi({ annotations }))
  await network.setup(pod)
  const bandwidth = { ingressRate: 10_000_000, ingressBurst: 2 ** 31 - 1, egressRate: 1_000_000_000, egressBurst: 2 ** 31 - 1 }
  assert.deepEqual((await at.last('ADD main')).config['runtimeConfig'], { bandwidth })
  await network.teardown('u-1')
  annotations = { 'kubernetes.io/ingress-bandwidth': '5' }
  await assert.rejects(
    network.setup(pod),
    /failed to setup network for sandbox "u-1": annotation kubernetes\.io\/ingress-bandwidth: 5 is unreasonably small/,
  )
  await network.close()
})

test('an attachment that fails is taken back whole, and made anew', { skip: needsRoot }, async (t) => {
  const at = await place(t)
  const network = await open(at)
  for (const [answer, message] of [
    [fails(11, 'no lease', 'pool is empty'), 'no lease; pool is empty'],
    ['echo rubbish', 'the answer is not JSON: rubbish\n'],
    ['echo []', 'the answer is no result'],
    [':', 'the answer is no result'],
  ] as const) {
    await at.plugin('chained', { ADD: answer })
    await assert.rejects(network.setup(pod), {
      message: `failed to setup network for sandbox "u-1": plugin type="chained" name="pods" failed (add): ${message}`,
    })
    assert.deepEqual((await at.calls()).slice(-4), ['ADD main', 'ADD chained', 'DEL chained', 'DEL main'])
    assert.equal((await at.last('DEL main')).config['prevResult'], undefined)
  }
  for (const [result, message] of [
    [{ ...fakeResult(), ips: [] }, /the result has no address for eth0/],
    [fakeResult('10.88.0.999/16'), /an address that is none: "10\.88\.0\.999"/],
  ] as const) {
    await at.plugin('chained', { ADD: prints(result) })
    await assert.rejects(network.setup(pod), message)
  }
  await at.plugin('chained', {
    ADD: prints({
      ...fakeResult(),
      ips: [{ address: 'fd00::5/64' }, { address: '10.88.0.6/16', interface: 1 }, { address: '10.88.0.1/16', interface: 0 }],
    }),
  })
  assert.deepEqual((await network.setup(pod)).ips, ['10.88.0.6', 'fd00::5'])
  await network.close()
})

test('a teardown is tried again until every plugin has done its part', { skip: needsRoot }, async (t) => {
  const at = await place(t)
  const network = await open(at)
  const { namespaces: paths } = await network.setup(pod)
  await at.plugin('chained', { DEL: fails(5, 'rules are locked') })
  const message = 'failed to destroy network for sandbox "u-1": plugin type="chained" name="pods" failed (delete): rules are locked'
  await assert.rejects(network.teardown('u-1'), { message })
  assert.deepEqual((await at.calls()).slice(2), ['DEL chained', 'DEL main'])
  assert(namespaces.isPinned(paths.net), 'plugins need the namespace')
  assert.deepEqual(await network.list(), ['u-1'])
  await at.plugin('chained')
  await network.teardown('u-1')
  assert.deepEqual([await network.list(), namespaces.isPinned(paths.net)], [[], false])
  await network.close()
})

test('a restart finds the pod as it is; what is missing is attached anew; after a reboot, too', { skip: needsRoot }, async (t) => {
  const at = await place(t)
  const before = await open(at)
  const { namespaces: paths, ips } = await before.setup(pod)
  await before.close()

  const again = await open(at)
  assert.deepEqual(await again.list(), ['u-1'])
  assert.deepEqual((await again.setup(pod)).ips, ips)
  assert.deepEqual((await at.calls()).slice(2), ['CHECK main', 'CHECK chained'])
  assert.deepEqual((await at.last('CHECK main')).config['prevResult'], fakeResult())
  await again.close()

  await at.plugin('chained', { CHECK: fails(100, 'rule is missing') })
  const warned: string[] = []
  const repaired = await open(at, inApi, {
    ...silent,
    warn: (fields, message) => void warned.push(`${message}: ${(fields.err as Error).message}`),
  })
  await repaired.setup(pod)
  assert.deepEqual((await at.calls()).slice(4), ['CHECK main', 'CHECK chained', 'DEL chained', 'DEL main', 'ADD main', 'ADD chained'])
  assert.deepEqual(warned, [
    'a pod has lost its network and is attached anew: plugin type="chained" name="pods" failed (check): rule is missing',
  ])
  await repaired.close()

  for (const path of Object.values(paths)) await namespaces.unpin(path)
  const rebooted = await open(at)
  await rebooted.setup(pod)
  assert.deepEqual((await at.calls()).slice(10), ['DEL chained', 'DEL main', 'ADD main', 'ADD chained'])
  assert.equal((await at.last('DEL main')).env['CNI_NETNS'], '')
  await rebooted.close()
})

test('what a crash leaves half attached is taken back, also by cleanup', { skip: needsRoot }, async (t) => {
  const at = await place(t)
  await at.plugin('chained', { ADD: 'exit 1', DEL: fails(5, 'not yet') })
  const network = await open(at)
  // As after a kill amid ADD: there is a record without a result.
  await assert.rejects(network.setup(pod))
  await network.close()
  await at.plugin('chained')
  await rm(at.conf, { recursive: true })
  await writeFile(join(cniPlaces(at.data).attachments, 'u-2.json'), '{ cut off')
  const before = (await at.calls()).length
  await cleanupCni({ dataDir: at.data })
  await cleanupCni({ dataDir: at.data })
  assert.deepEqual((await at.calls()).slice(before), ['DEL chained', 'DEL main'])
})

test('while the network is not ready, Kubernetes’ words say why', { skip: needsRoot }, async (t) => {
  const at = await place(t, list({ cniVersion: '1.1.0' }))
  const notReady = (why: string) => ({
    message: `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: ${why}`,
  })
  await at.plugin('main', { STATUS: fails(50, 'no uplink') })
  await assert.rejects(open(at), notReady('plugin type="main" name="pods" failed (status): no uplink'))
  await at.plugin('main', { VERSION: prints({ cniVersion: '1.0.0', supportedVersions: ['0.4.0', '1.0.0'] }) })
  await assert.rejects(
    open(at),
    notReady('plugin type="main" name="pods": incompatible CNI versions; config is "1.1.0", plugin supports ["0.4.0" "1.0.0"]'),
  )
  await at.configure('10-pods.conflist', list({ cniVersion: '1.1.0', cniVersions: ['1.0.0'] }))
  const network = await open(at)
  await network.setup(pod)
  assert.equal((await at.last('ADD main')).config['cniVersion'], '1.0.0')
  await network.close()
  await rm(join(at.conf, '10-pods.conflist'))
  await assert.rejects(open(at), notReady(`cni plugin not initialized: no valid network config found in ${at.conf}`))
})

test('plugins of 1.1 are asked for their status and told at the start whose attachments still count', { skip: needsRoot }, async (t) => {
  const at = await place(t, list({ cniVersion: '1.1.0' }))
  const network = await open(at)
  await network.setup(pod)
  await network.close()
  await at.plugin('chained', { GC: 'exit 1' })
  await (await open(at)).close()
  assert.deepEqual(
    (await at.calls()).filter((call) => !/ADD/.test(call)),
    ['STATUS main', 'STATUS chained', 'GC main', 'GC chained', 'STATUS main', 'STATUS chained', 'GC main', 'GC chained'],
  )
  assert.deepEqual((await at.last('GC main')).config, {
    type: 'main',
    mtu: 1400,
    name: 'pods',
    cniVersion: '1.1.0',
    'cni.dev/valid-attachments': [{ containerID: 'u-1', ifname: 'eth0' }],
  })
  await at.configure('10-pods.conflist', list({ cniVersion: '1.1.0', disableGC: true, disableCheck: true }))
  const before = (await at.calls()).length
  await (await open(at)).close()
  assert.deepEqual((await at.calls()).slice(before), ['STATUS main', 'STATUS chained'])
})
