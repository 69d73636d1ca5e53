import assert from 'node:assert/strict'
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { ConfigMap, Pod, RuntimeClass } from '#api/kinds/index.ts'
import type { ContainerStatus, PodStatus } from '#api/types/core-v1.gen.ts'
import { ImageError } from '../images/images.ts'
import { RuntimeError } from '../runtime/runtime-error.ts'
import { VolumeError } from '../volumes/volume-error.ts'
import { containerOf, podIn, type World, world } from './fakes.ts'
import { openPods, type Pods } from './pods.ts'

type Setup = World & {
  readonly pods: Pods
  /** The status in the API, as soon as it is as wanted. */
  until(wanted: (status: PodStatus) => unknown, options?: { /** Without letting time go on. */ still?: boolean }): Promise<PodStatus>
  gone(name?: string): Promise<void>
  /** A new agent on the same node: what the old one left is there. */
  restart(): Promise<void>
}

async function setup(t: TestContext): Promise<Setup> {
  const folder = await mkdtemp(join(tmpdir(), 'coracle-pods-'))
  const all = world(folder)
  const pods = await openPods(all.deps)
  const live = { pods }
  const follow = new AbortController()
  const list = async () => (await all.client.list(Pod)).items
  void (async () => {
    for await (const { type, object } of all.client.watch(Pod, { signal: follow.signal })) {
      if (type === 'DELETED') live.pods.remove(object)
      else if (type !== 'BOOKMARK') live.pods.set(object)
    }
  })()
  t.after(async () => {
    follow.abort()
    await live.pods.close()
    await all.deps.objects.close()
    assert.equal(all.clock.pending, 0, 'timers are left')
    await rm(folder, { recursive: true })
  })
  const find = async (name: string) => all.client.find(Pod, { namespace: 'shop', name })
  let latest: PodStatus | undefined
  // Files are really written, so real time passes; the clock moves on a little only for what waits for it.
  const patience = async <T>(look: () => Promise<T | undefined>, what: string, still = false): Promise<T> => {
    for (let turn = 1; turn < 3000; turn++) {
      const found = await look()
      if (found !== undefined) return found
      await (turn % 10 === 0 ? setTimeout(1) : setImmediate())
      if (turn % 30 === 0 && !still) await all.clock.advance(20)
    }
    throw new Error(`${what} never came: ${JSON.stringify(latest)}`)
  }
  return {
    ...all,
    get pods() {
      return live.pods
    },
    until: (wanted, { still } = {}) => {
      const look = async () => {
        latest = (await find('web'))?.status
        return latest && wanted(latest) ? latest : undefined
      }
      return patience(look, String(wanted), still)
    },
    gone: (name = 'web') => patience(async () => ((await find(name)) ? undefined : Promise.resolve(true)), 'its end').then(() => undefined),
    async restart() {
      await live.pods.close()
      live.pods = await openPods(all.deps)
      for (const pod of await list()) live.pods.set(pod)
      live.pods.heard()
    },
  }
}

const ready = ({ conditions }: PodStatus) => conditions?.find(({ type }) => type === 'Ready')?.status === 'True'
const first = ({ containerStatuses }: PodStatus): ContainerStatus => containerStatuses![0]!
const waiting = (reason: string) => (status: PodStatus) => status.containerStatuses?.[0]?.state.waiting?.reason === reason
const settled = async () => {
  for (let i = 0; i < 50; i++) await setImmediate()
}

test('a host that moves takes along its own addresses and those of pods on its network', async (t) => {
  const { client, until, deps, pods } = await setup(t)
  const pod = podIn(client, { hostNetwork: true })
  assert.equal((await until(ready, { still: true })).podIP, '10.0.0.1')
  Object.assign(deps.host, { ips: ['10.0.0.9', 'fd00::9'] })
  pods.set((await client.find(Pod, pod.metadata)) ?? pod)
  const { podIP, podIPs, hostIPs } = await until(({ hostIP }) => hostIP === '10.0.0.9')
  assert.deepEqual([podIP, podIPs, hostIPs], ['10.0.0.9', [{ ip: '10.0.0.9' }, { ip: 'fd00::9' }], [{ ip: '10.0.0.9' }, { ip: 'fd00::9' }]])
})

test('a pod comes up: prerequisites, image, container, status', async (t) => {
  const { client, until, runtime, events } = await setup(t)
  const pod = podIn(client)
  const status = await until(ready, { still: true })
  assert.equal(status.phase, 'Running')
  assert.equal(status.podIP, '10.42.0.2')
  assert.deepEqual(status.hostIPs, [{ ip: '10.0.0.1' }])
  assert.equal(status.qosClass, 'BestEffort')
  assert.deepEqual(
    status.conditions?.map(({ type, status }) => `${type}=${status}`),
    ['PodScheduled=True', 'PodReadyToStartContainers=True', 'Initialized=True', 'Ready=True', 'ContainersReady=True'],
  )
  const { containerID, imageID, restartCount, started, state } = first(status)
  assert.deepEqual(
    { containerID, imageID, restartCount, started },
    { containerID: 'coracle://c1', imageID: 'sha256:busybox:1', restartCount: 0, started: true },
  )
  assert.equal(state.running?.startedAt, '2025-01-01T00:00:00Z')
  assert.deepEqual(events, [
    'Normal Pulled Container image "busybox:1" already present on machine',
    'Normal Created Created container: web',
    'Normal Started Started container web',
  ])
  const { spec } = runtime.newest('web')!
  assert.deepEqual(spec.args, ['sh'])
  assert.deepEqual(spec.namespaces, { net: '/ns/net', ipc: '/ns/ipc', uts: '/ns/uts', pid: 'new' })
  assert.equal(spec.cgroup, `kubepods/besteffort/pod${pod.metadata.uid}/c1`)
  assert.match(spec.logPath, /logs\/shop_web_[-0-9a-f]+\/web\/0\.log$/)
  const hosts = spec.mounts.find(({ target }) => target === '/etc/hosts')!
  assert.match(await readFile(hosts.source, 'utf8'), /^10\.42\.0\.2\tweb$/m)
  assert.equal(client.writes.filter((write) => write.includes('status')).length, 1, 'one write for all of it')
})

test('a container that crashes is restarted at once, then in its loop', async (t) => {
  const { client, until, runtime, events, clock } = await setup(t)
  podIn(client)
  await until(ready)
  runtime.exit('web', 1)
  await until((status) => first(status).restartCount === 1 && ready(status))
  runtime.exit('web', 3)
  const status = await until(waiting('CrashLoopBackOff'))
  assert.equal(status.phase, 'Running')
  assert.equal(ready(status), false)
  assert.match(first(status).state.waiting?.message ?? '', /^back-off 10s restarting failed container=web pod=web_shop\(/)
  assert.equal(first(status).lastState.terminated?.exitCode, 3)
  assert.equal(first(status).lastState.terminated?.reason, 'Error')
  assert.equal(events.filter((event) => event.startsWith('Warning BackOff')).length, 1)
  await clock.advance(10_000)
  await until((status) => first(status).restartCount === 2 && ready(status))
  assert.deepEqual(runtime.log, ['start web#0', 'start web#1', 'start web#2', 'remove web#0'])
})

test('a pod that runs to its end', async (t) => {
  const { client, until, runtime, grounds, pods, deps } = await setup(t)
  const pod = podIn(client, { restartPolicy: 'Never' })
  await until(ready)
  const { logPath } = runtime.newest('web')!.spec
  await writeFile(logPath, '')
  runtime.exit('web', 0)
  const status = await until(({ phase }) => phase === 'Succeeded')
  assert.equal(first(status).state.terminated?.reason, 'Completed')
  assert.equal(status.conditions?.find(({ type }) => type === 'Ready')?.reason, 'PodCompleted')
  await settled()
  assert.deepEqual([grounds.sandboxes.size, grounds.volumes.size], [0, 0])
  assert.equal(runtime.states.size, 1, 'its record stays for its log')
  await access(logPath)
  await client.delete(Pod, { namespace: 'shop', name: 'web' })
  await pods.idle()
  assert.equal(runtime.states.size, 0)
  await assert.rejects(access(join(deps.logsDir, `shop_web_${pod.metadata.uid}`)))
})

test('a failing container fails a pod that is not to be restarted', async (t) => {
  const { client, until, runtime } = await setup(t)
  podIn(client, { restartPolicy: 'Never' })
  await until(ready)
  runtime.exit('web', 137, { oomKilled: true })
  const status = await until(({ phase }) => phase === 'Failed')
  assert.equal(first(status).state.terminated?.reason, 'OOMKilled')
})

test('init containers run in order, and their failure is retried', async (t) => {
  const { client, until, runtime } = await setup(t)
  podIn(client, { initContainers: [containerOf('one'), containerOf('two')] })
  const before = await until(({ initContainerStatuses }) => initContainerStatuses?.[0]?.state.running)
  assert.equal(first(before).state.waiting?.reason, 'PodInitializing')
  assert.equal(before.conditions?.find(({ type }) => type === 'Initialized')?.message, 'containers with incomplete status: [one two]')
  runtime.exit('one', 1)
  await until(({ initContainerStatuses }) => initContainerStatuses?.[0]?.restartCount === 1)
  runtime.exit('one', 0)
  await until(({ initContainerStatuses }) => initContainerStatuses?.[1]?.state.running)
  runtime.exit('two', 0)
  await until(ready)
  assert.deepEqual(runtime.log, ['start one#0', 'start one#1', 'start two#0', 'start web#0'])
})

test('a deleted pod is stopped within its grace, cleared away, and then deleted', async (t) => {
  const { client, until, gone, runtime, grounds, events, held, pods } = await setup(t)
  podIn(client, { terminationGracePeriodSeconds: 7 })
  await until(ready)
  assert.equal(held.size, 1)
  await client.delete(Pod, { namespace: 'shop', name: 'web' })
  await gone()
  await pods.idle()
  assert.deepEqual(runtime.log, ['start web#0', 'stop web#0 7', 'remove web#0'])
  assert.deepEqual([grounds.sandboxes.size, grounds.volumes.size, held.size], [0, 0, 0])
  assert.deepEqual([...grounds.cgroups], ['kubepods/besteffort'])
  assert.ok(events.includes('Normal Killing Stopping container web'))
})

test('a container that does not listen is given its grace; a second deletion cuts it short', async (t) => {
  const { client, until, gone, runtime } = await setup(t)
  podIn(client)
  await until(ready)
  runtime.stubborn.add('web')
  await client.delete(Pod, { namespace: 'shop', name: 'web' })
  await settled()
  await client.delete(Pod, { namespace: 'shop', name: 'web' }, { gracePeriodSeconds: 1 })
  await gone()
  assert.deepEqual(runtime.log.slice(0, 3), ['start web#0', 'stop web#0 30', 'stop web#0 1'])
})

test('preStop runs first, and takes its time out of the grace', async (t) => {
  const { client, until, gone, runtime, events, clock } = await setup(t)
  podIn(client, {
    terminationGracePeriodSeconds: 10,
    containers: [containerOf('web', { lifecycle: { preStop: { sleep: { seconds: 4 } } } })],
  })
  await until(ready)
  runtime.commands.set('bye', 1)
  await client.delete(Pod, { namespace: 'shop', name: 'web' })
  await settled()
  assert.deepEqual(runtime.log, ['start web#0'])
  await clock.advance(4_000)
  await gone()
  assert.deepEqual(runtime.log.slice(0, 2), ['start web#0', 'stop web#0 6'])
  assert.ok(!events.some((event) => event.includes('FailedPreStopHook')))
})

test('a pod that vanished from the API is brought down', async (t) => {
  const { client, until, runtime, pods, grounds } = await setup(t)
  podIn(client)
  await until(ready)
  client.drop(Pod, { namespace: 'shop', name: 'web' })
  await settled()
  await pods.idle()
  assert.deepEqual(runtime.log, ['start web#0', 'stop web#0 30', 'remove web#0'])
  assert.equal(grounds.sandboxes.size, 0)
})

test('an image that is not to be had is backed off from', async (t) => {
  const { client, until, events, registry, clock } = await setup(t)
  podIn(client, { containers: [containerOf('web', { image: 'nope:1' })] })
  await until(waiting('ErrImagePull'))
  await clock.advance(2_000)
  const status = await until(waiting('ImagePullBackOff'))
  assert.equal(first(status).state.waiting?.message, 'Back-off pulling image "nope:1": ErrImagePull: nope:1: not found')
  assert.equal(status.phase, 'Pending')
  assert.deepEqual(events, [
    'Normal Pulling Pulling image "nope:1"',
    'Warning Failed Failed to pull image "nope:1": nope:1: not found',
    'Warning Failed Error: ErrImagePull',
    'Normal BackOff Back-off pulling image "nope:1"',
    'Warning Failed Error: ImagePullBackOff',
  ])
  registry.add('nope:1')
  await clock.advance(10_000)
  await until(ready)
})

test('an image that is always to be pulled is the one that ran before while nobody can be asked', async (t) => {
  const { client, until, runtime, events, deps, restart } = await setup(t)
  const reference = 'busybox:1'
  let failure: ImageError | undefined
  const found = await deps.images.find(reference)
  Object.assign(deps.images, {
    find: async (name: string) => (name === reference || name === found?.id ? found : undefined),
    async pull() {
      if (failure) throw failure
      return found
    },
  })
  podIn(client, { containers: [containerOf('main', { image: reference, imagePullPolicy: 'Always' })] })
  await until(ready)
  failure = new ImageError('RegistryUnavailable', 'no route')
  Object.assign(deps.host, { bootID: 'another' })
  runtime.exit('main', 137)
  await restart()
  await until((status) => ready(status) && first(status).restartCount === 1)
  assert.ok(
    events.includes(`Warning Pulled Container image "${reference}" could not be asked for and is the one that ran before: no route`),
  )
  failure = new ImageError('ErrImagePull', 'denied')
  Object.assign(deps.host, { bootID: 'a third' })
  runtime.exit('main', 137)
  await restart()
  await until(waiting('ErrImagePull'))
})

test('an image that must not be pulled', async (t) => {
  const { client, until } = await setup(t)
  podIn(client, { containers: [containerOf('web', { image: 'nope:1', imagePullPolicy: 'Never' })] })
  const status = await until(waiting('ErrImageNeverPull'))
  assert.equal(first(status).state.waiting?.message, 'Container image "nope:1" is not present with pull policy of Never')
})

test('a missing ConfigMap holds the container back until it appears', async (t) => {
  const { client, until, events, clock } = await setup(t)
  const env = [{ name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'paint', key: 'color' } } }]
  podIn(client, { containers: [containerOf('web', { env })] })
  const status = await until(waiting('CreateContainerConfigError'))
  assert.equal(first(status).state.waiting?.message, 'configmap "paint" not found')
  assert.ok(events.includes('Warning Failed Error: configmap "paint" not found'))
  const since = clock.monotonic()
  client.put(ConfigMap, { metadata: { namespace: 'shop', name: 'paint' }, data: { color: 'red' } })
  await until(ready)
  assert.ok(clock.monotonic() - since < 5_000, 'it waited for the retry')
})

test('a change while volumes are made or brought up to date is not missed', async (t) => {
  const { client, until, deps } = await setup(t)
  const { mount } = deps.volumes
  const ref = { namespace: 'shop', name: 'late' }
  const seen: (string | undefined)[] = []
  const gates: PromiseWithResolvers<void>[] = []
  deps.volumes.mount = async (...args) => {
    // What it looks at, it looks at first; then it is slow.
    seen.push((await deps.objects.find(ConfigMap, ref))?.data?.['a'])
    const gate = Promise.withResolvers<void>()
    gates.push(gate)
    await gate.promise
    return mount(...args)
  }
  const begun = async (count: number) => {
    while (gates.length < count) await setTimeout(1)
    return gates[count - 1]!
  }
  podIn(client, { volumes: [{ name: 'v', configMap: { name: 'late', optional: true } }] })
  const first = await begun(1)
  const put = async (a: string) => {
    client.put(ConfigMap, { metadata: ref, data: { a } })
    // Until the pod has heard of it.
    while ((await deps.objects.find(ConfigMap, ref))?.data?.['a'] !== a) await setTimeout(1)
    await setTimeout(5)
  }
  await put('1')
  first.resolve()
  const second = await begun(2)
  await put('2')
  second.resolve()
  ;(await begun(3)).resolve()
  await until(ready)
  assert.deepEqual(seen, [undefined, '1', '2'])
})

test('the environment, and commands that use it', async (t) => {
  const { client, until, runtime } = await setup(t)
  client.put(ConfigMap, { metadata: { namespace: 'shop', name: 'paint' }, data: { COLOR: 'red', SHADE: 'dark' } })
  podIn(client, {
    containers: [
      containerOf('web', {
        command: ['echo', '$(COLOR)', '$$(COLOR)', '$(NONE)'],
        args: ['$(WHO)', '$(P_SHADE)'],
        envFrom: [{ prefix: 'P_', configMapRef: { name: 'paint' } }],
        env: [
          { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'paint', key: 'COLOR' } } },
          { name: 'WHO', value: '$(COLOR) $(IP)' },
          { name: 'SHADES', value: '$(P_SHADE) of $(P_COLOR)' },
          { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
          { name: 'UNSET', valueFrom: { configMapKeyRef: { name: 'paint', key: 'none', optional: true } } },
        ],
      }),
    ],
  })
  await until(ready)
  const { args, env } = runtime.newest('web')!.spec
  assert.deepEqual(args, ['echo', 'red', '$(COLOR)', '$(NONE)', 'red $(IP)', 'dark'])
  assert.deepEqual(env.slice(1), [
    'HOSTNAME=web',
    'P_COLOR=red',
    'P_SHADE=dark',
    'COLOR=red',
    'WHO=red $(IP)',
    'SHADES=dark of red',
    'IP=10.42.0.2',
    'LIMIT=4',
  ])
})

test('a path of a volume that names a variable which nobody set', async (t) => {
  const { client, until, runtime } = await setup(t)
  const volumes = [{ name: 'v', emptyDir: {} }]
  const at = (subPathExpr: string) => ({ volumeMounts: [{ name: 'v', mountPath: '/v', subPathExpr }], env: [{ name: 'WHO', value: 'me' }] })
  podIn(client, { volumes, containers: [containerOf('web', at('$(WHO)/$(NOBODY)'))] })
  const status = await until(waiting('CreateContainerConfigError'))
  assert.equal(first(status).state.waiting?.message, 'missing value for "NOBODY"')
  podIn(client, { volumes, containers: [containerOf('fine', at('$(WHO)/$$(NOBODY)'))] }, 'fine')
  while (!runtime.newest('fine')) await setTimeout(1)
  assert.equal(runtime.newest('fine')!.spec.mounts.at(-1)!.source, '/volumes/v/me/$(NOBODY)')
})

test('a pod that this node may not run fails at once, and says why', async (t) => {
  const { client, until, runtime, events } = await setup(t)
  podIn(client, { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '1' }] } })
  const { reason, message } = await until(({ phase }) => phase === 'Failed')
  assert.deepEqual([reason, message], ['SysctlForbidden', 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'])
  assert.deepEqual(events, ['Warning SysctlForbidden forbidden sysctl: "kernel.msgmax" not allowlisted'])
  assert.deepEqual(runtime.log, [])
})

test('volumes that cannot be mounted are tried again', async (t) => {
  const { client, until, events, grounds } = await setup(t)
  grounds.volumeFailures.push(new VolumeError('no'), new VolumeError('no'))
  podIn(client)
  await until(ready)
  assert.deepEqual(
    events.filter((event) => event.startsWith('Warning')),
    ['Warning FailedMount no', 'Warning FailedMount no'],
  )
})

test('a sandbox that cannot be made is tried again', async (t) => {
  const { client, until, events, grounds } = await setup(t)
  grounds.failures.push(new Error('no addresses left'))
  podIn(client, { containers: [containerOf('a'), containerOf('b')] })
  await until(ready)
  assert.deepEqual(
    events.filter((event) => event.startsWith('Warning')),
    ['Warning FailedCreatePodSandBox Failed to create pod sandbox: no addresses left'],
  )
})

test('a pod that asks for the sandbox of another runtime never runs without it', async (t) => {
  const { client, until, events } = await setup(t)
  client.put(RuntimeClass, { metadata: { name: 'class-kata' }, handler: 'kata' })
  podIn(client, { runtimeClassName: 'class-kata' })
  while (!events.some((event) => event.startsWith('Warning'))) await setImmediate()
  assert.deepEqual(
    events.filter((event) => event.startsWith('Warning')),
    ['Warning FailedCreatePodSandBox Failed to create pod sandbox: failed to get sandbox runtime: no runtime for "kata" is configured'],
  )
  assert.ok(!ready(await until(() => true, { still: true })))
})

test('a pod may name the runtime that there is', async (t) => {
  const { client, until } = await setup(t)
  client.put(RuntimeClass, { metadata: { name: 'class-runc' }, handler: 'runc' })
  podIn(client, { runtimeClassName: 'class-runc' })
  await until(ready)
})

test('a runtime class that comes after its pod is not missed', async (t) => {
  const { client, until, events } = await setup(t)
  podIn(client, { runtimeClassName: 'class-runc' })
  while (!events.some((event) => event.startsWith('Warning'))) await setImmediate()
  assert.match(events.find((event) => event.startsWith('Warning'))!, /runtimeclasses\.node\.k8s\.io "class-runc" not found$/)
  client.put(RuntimeClass, { metadata: { name: 'class-runc' }, handler: 'runc' })
  await until(ready)
})

test('a sandbox that cannot be taken down is told, and tried again', async (t) => {
  const { client, until, events, grounds, pods, clock } = await setup(t)
  podIn(client, { terminationGracePeriodSeconds: 1 })
  await until(ready)
  grounds.teardownFailures.push(new Error('failed to destroy network for sandbox "u": the lock is held'))
  await client.delete(Pod, { namespace: 'shop', name: 'web' })
  const idle = pods.idle()
  while (grounds.teardownFailures.length > 0) await setImmediate()
  await settled()
  await clock.advance(60_000)
  await idle
  assert.deepEqual(
    events.filter((event) => event.startsWith('Warning')),
    ['Warning FailedKillPod error killing pod: failed to destroy network for sandbox "u": the lock is held'],
  )
  assert.equal(grounds.sandboxes.size, 0)
})

test('a command that cannot be run counts as a run that failed', async (t) => {
  const { client, until, runtime } = await setup(t)
  runtime.failNext(new RuntimeError('StartError', 'exec: "nope": executable file not found in $PATH'))
  podIn(client, { restartPolicy: 'Never' })
  const status = await until(({ phase }) => phase === 'Failed')
  const { exitCode, reason, message } = first(status).state.terminated!
  assert.deepEqual(
    { exitCode, reason, message },
    { exitCode: 128, reason: 'StartError', message: 'exec: "nope": executable file not found in $PATH' },
  )
})

test('a container that cannot be created is tried again, and is no run', async (t) => {
  const { client, until, runtime, clock } = await setup(t)
  runtime.failNext(new RuntimeError('CreateContainerError', 'no space left on device'))
  podIn(client)
  await until(waiting('CreateContainerError'))
  await clock.advance(10_000)
  const status = await until(ready)
  assert.equal(first(status).restartCount, 0)
})

test('a liveness probe that gives up has its container restarted', async (t) => {
  const { client, until, runtime, events, clock } = await setup(t)
  const livenessProbe = { exec: { command: ['alive'] }, periodSeconds: 5, failureThreshold: 2 }
  podIn(client, { containers: [containerOf('web', { livenessProbe })] })
  await until(ready)
  runtime.commands.set('alive', 1)
  await clock.advance(10_000)
  runtime.commands.delete('alive')
  const status = await until((status) => first(status).restartCount === 1 && ready(status))
  assert.equal(first(status).lastState.terminated?.exitCode, 0)
  assert.equal(events.filter((event) => event === 'Warning Unhealthy Liveness probe failed: ').length, 2)
  assert.ok(events.includes('Normal Killing Container web failed liveness probe, will be restarted'))
})

test('a failing postStart hook ends its container', async (t) => {
  const { client, until, runtime, events } = await setup(t)
  runtime.commands.set('hello', 1)
  podIn(client, { containers: [containerOf('web', { lifecycle: { postStart: { exec: { command: ['hello'] } } } })] })
  await until((status) => status.containerStatuses?.[0]?.restartCount === 1)
  assert.deepEqual(runtime.log.slice(0, 3), ['start web#0', 'exec web#0 hello', 'stop web#0 30'])
  assert.ok(events.includes('Warning FailedPostStartHook PostStartHook failed: '))
})

test('a pod past its deadline fails, and its containers are stopped', async (t) => {
  const { client, until, clock, runtime } = await setup(t)
  podIn(client, { activeDeadlineSeconds: 60 })
  await until(ready)
  await clock.advance(60_000)
  const status = await until(({ phase, containerStatuses }) => phase === 'Failed' && containerStatuses?.[0]?.state.terminated)
  assert.equal(status.reason, 'DeadlineExceeded')
  assert.deepEqual(runtime.log, ['start web#0', 'stop web#0 30'])
})

for (const years of [1, -1, 30, -55]) {
  const step = years * 365 * 86_400_000

  test(`the clock steps by ${years} years: loops, waits and graces last as long as before`, async (t) => {
    const { client, until, gone, runtime, registry, clock } = await setup(t)
    podIn(client)
    await until(ready)
    runtime.exit('web', 1)
    await until((status) => first(status).restartCount === 1 && ready(status))
    runtime.exit('web', 1)
    await until(waiting('CrashLoopBackOff'), { still: true })
    clock.jump(step)
    await clock.advance(9_000)
    assert.deepEqual(runtime.log, ['start web#0', 'start web#1'])
    await clock.advance(1_000)
    await until((status) => first(status).restartCount === 2 && ready(status), { still: true })

    runtime.stubborn.add('web')
    await client.delete(Pod, { namespace: 'shop', name: 'web' })
    await settled()
    clock.jump(-step)
    await clock.advance(20_000)
    await client.delete(Pod, { namespace: 'shop', name: 'web' }, { gracePeriodSeconds: 25 })
    await settled()
    clock.jump(step)
    await clock.advance(4_000)
    assert.equal(runtime.newest('web')?.phase, 'running')
    await clock.advance(1_000)
    await gone()
    // Whatever is left of 25 seconds since the deletion was first seen.
    assert.deepEqual(runtime.log.slice(-3, -1), ['stop web#2 30', 'stop web#2 5'])

    podIn(client, { containers: [containerOf('web', { image: 'nope:1' })] })
    await until(waiting('ErrImagePull'))
    registry.add('nope:1')
    clock.jump(-step)
    await clock.advance(2_000)
    await until(waiting('ImagePullBackOff'))
    await clock.advance(8_000)
    await until(ready)
  })

  test(`the clock steps by ${years} years: a deadline and a probe's delay count from their pod's start`, async (t) => {
    const { client, until, clock, runtime, restart } = await setup(t)
    const livenessProbe = { exec: { command: ['alive'] }, initialDelaySeconds: 20, periodSeconds: 5, failureThreshold: 1 }
    podIn(client, { activeDeadlineSeconds: 60, containers: [containerOf('web', { livenessProbe })] })
    await until(ready, { still: true })
    await clock.advance(10_000)
    clock.jump(step)
    await clock.advance(5_000)
    assert.deepEqual(runtime.log, ['start web#0'])
    clock.jump(-step)
    await restart()
    // One for the probe, one for the deadline.
    await until(() => clock.pending > 1, { still: true })
    clock.jump(step)
    // Of the twenty seconds fifteen were over when the agent restarted.
    await clock.advance(12_000)
    assert.ok(runtime.log.includes('exec web#0 alive'))
    await clock.advance(32_500)
    const found = await client.get(Pod, { namespace: 'shop', name: 'web' })
    assert.equal(found.status?.phase, 'Running')
    await clock.advance(1_000)
    await until(({ phase, reason }) => phase === 'Failed' && reason === 'DeadlineExceeded')
  })
}

test('an agent that restarts with its clock far in the past, or after a start there, looks after its pods as before', async (t) => {
  const { client, until, clock, runtime, restart } = await setup(t)
  const livenessProbe = { exec: { command: ['alive'] }, initialDelaySeconds: 5, periodSeconds: 5, failureThreshold: 1 }
  const spec = { activeDeadlineSeconds: 60, containers: [containerOf('web', { livenessProbe })] }
  podIn(client, spec)
  await until(ready, { still: true })
  clock.jump(-55 * 365 * 86_400_000)
  await restart()
  await until(() => clock.pending > 1, { still: true })
  await clock.advance(10_000)
  assert.ok(runtime.log.includes('exec web#0 alive'))
  await clock.advance(50_000)
  await until(({ phase, reason }) => phase === 'Failed' && reason === 'DeadlineExceeded')
  await client.delete(Pod, { namespace: 'shop', name: 'web' }, { gracePeriodSeconds: 0 })
  podIn(client, spec)
  await until(ready)
  clock.jump(55 * 365 * 86_400_000)
  await restart()
  await until(() => clock.pending > 1, { still: true })
  await clock.advance(50_000)
  assert.equal((await client.get(Pod, { namespace: 'shop', name: 'web' })).status?.phase, 'Running')
})

test('what a container says of its end', async (t) => {
  const { client, until, runtime } = await setup(t)
  podIn(client, {
    restartPolicy: 'Never',
    containers: [containerOf('web', { terminationMessagePolicy: 'FallbackToLogsOnError' }), containerOf('b')],
  })
  await until(ready)
  const of = (name: string) => runtime.newest(name)!.spec
  await writeFile(
    of('web').logPath,
    '2025-01-01T00:00:00Z stdout F all\n2025-01-01T00:00:00Z stderr P is \n2025-01-01T00:00:00Z stderr F lost\n',
  )
  await writeFile(of('b').mounts.find(({ target }) => target === '/dev/termination-log')!.source, 'bye')
  runtime.exit('web', 1)
  runtime.exit('b', 0)
  const { containerStatuses } = await until(({ phase }) => phase === 'Failed')
  assert.deepEqual(
    containerStatuses?.map(({ state }) => state.terminated?.message),
    ['all\nis lost\n', 'bye'],
  )
})

test('a restarted agent finds its containers, and starts none again', async (t) => {
  const all = await setup(t)
  const { client, until, runtime, held } = all
  const readinessProbe = { exec: { command: ['ready'] } }
  podIn(client, { containers: [containerOf('web', { readinessProbe })] })
  await until(ready)
  const writes = client.writes.length
  await all.restart()
  await settled()
  assert.deepEqual(
    runtime.log.filter((line) => !line.startsWith('exec')),
    ['start web#0'],
  )
  assert.equal(client.writes.length, writes, 'nothing has changed, so nothing is written')
  assert.equal(held.size, 1)
  runtime.exit('web', 1)
  const status = await until((status) => first(status).restartCount === 1 && ready(status))
  assert.equal(first(status).lastState.terminated?.exitCode, 1)
})

test('what ended while the agent was away is taken in', async (t) => {
  const all = await setup(t)
  const { client, until, runtime } = all
  podIn(client, { restartPolicy: 'Never' })
  await until(ready)
  await all.pods.close()
  runtime.exit('web', 5)
  await all.restart()
  const status = await until(({ phase }) => phase === 'Failed')
  assert.equal(first(status).state.terminated?.exitCode, 5)
})

test('pods that were deleted while the agent was away are brought down', async (t) => {
  const all = await setup(t)
  const { client, until, runtime, grounds } = all
  podIn(client, { terminationGracePeriodSeconds: 5 })
  await until(ready)
  grounds.sandboxes.add('left-over')
  await all.pods.close()
  client.drop(Pod, { namespace: 'shop', name: 'web' })
  await all.restart()
  await all.pods.idle()
  assert.deepEqual(runtime.log, ['start web#0', 'stop web#0 5', 'remove web#0'])
  assert.deepEqual([grounds.sandboxes.size, grounds.volumes.size], [0, 0])
})

test('a pod that was over stays as it was', async (t) => {
  const all = await setup(t)
  const { client, until, runtime } = all
  podIn(client, { restartPolicy: 'Never' })
  await until(ready)
  runtime.exit('web', 0)
  await until(({ phase }) => phase === 'Succeeded')
  await settled()
  runtime.states.clear()
  const writes = client.writes.length
  await all.restart()
  await settled()
  assert.equal(client.writes.length, writes)
  assert.equal(runtime.log.filter((line) => line.startsWith('start')).length, 1)
})

test('a status that cannot be written is written when the server is back', async (t) => {
  const { client, until, clock } = await setup(t)
  let away = true
  client.intercept(({ verb }) => {
    if (away && verb === 'patch') throw Object.assign(new Error('down'))
  })
  podIn(client)
  await settled()
  await clock.advance(1_000)
  away = false
  await until(ready)
})

test('the pod of another moment: a new image replaces the container', async (t) => {
  const { client, until, runtime, stored } = await setup(t)
  const pod = podIn(client)
  await until(ready)
  stored.add('busybox:2')
  const changed: Pod = { ...pod, spec: { ...pod.spec, containers: [containerOf('web', { image: 'busybox:2' })] } }
  client.put(Pod, { ...changed, status: (await client.get(Pod, pod.metadata as { name: string })).status })
  const status = await until((status) => ready(status) && first(status).image === 'busybox:2' && first(status).restartCount === 1)
  assert.equal(first(status).imageID, 'sha256:busybox:2')
  assert.deepEqual(runtime.log, ['start web#0', 'stop web#0 30', 'start web#1'])
})

const sized = (cpu: string) => ({ requests: { cpu, memory: '64Mi' }, limits: { cpu, memory: '64Mi' } })
const resizeTo = (client: World['client'], more: Parameters<typeof containerOf>[1]) =>
  client.patch(Pod, { namespace: 'shop', name: 'web' }, 'merge', { spec: { containers: [containerOf('web', more)] } })

test('a resize is given to the running container, told of, and survives the agent', async (t) => {
  const { client, clock, until, runtime, restart, grounds } = await setup(t)
  const pod = podIn(client, { containers: [containerOf('web', { resources: sized('1') })] })
  const before = first(await until(ready))
  assert.deepEqual([before.resources, before.allocatedResources], [sized('1'), sized('1').requests])
  const resize = (cpu: string) => resizeTo(client, { resources: sized(cpu) })
  const conditions = ({ conditions: all = [] }: PodStatus) =>
    all.map(({ type, reason }) => `${type} ${reason}`).filter((c) => c.startsWith('PodResize'))
  grounds.limitFailures.push(new Error('EBUSY'))
  await resize('2')
  await until((status) => conditions(status).includes('PodResizeInProgress Error'))
  await clock.advance(5000)
  const after = await until((status) => first(status).resources?.limits?.cpu === '2' && conditions(status).length === 0)
  assert.deepEqual([first(after).restartCount, first(after).allocatedResources?.cpu], [0, '2'])
  const given = (cpu: number) =>
    `resize web#0 {"cpuShares":${cpu * 1024},"cpuPeriodMicros":100000,"cpuQuotaMicros":${cpu * 100_000},"memoryBytes":67108864}`
  assert.ok(runtime.log.includes(given(2)), runtime.log.join('\n'))
  assert.ok(runtime.log.at(-1)?.startsWith(`limit pod${pod.metadata.uid} `))

  await resize('8')
  const pending = await until((status) => conditions(status).includes('PodResizePending Infeasible'))
  assert.equal(first(pending).resources?.limits?.cpu, '2')
  await restart()
  await resize('3')
  const last = await until((status) => first(status).resources?.limits?.cpu === '3' && conditions(status).length === 0)
  assert.equal(first(last).restartCount, 0)
  assert.ok(runtime.log.includes(given(3)))
})

test('a resize restarts a container whose policy says so, whatever the policy of the pod', async (t) => {
  const { client, until, runtime } = await setup(t)
  const resizePolicy = [{ resourceName: 'cpu' as const, restartPolicy: 'RestartContainer' as const }]
  podIn(client, { restartPolicy: 'OnFailure', containers: [containerOf('web', { resources: sized('1'), resizePolicy })] })
  await until(ready)
  await resizeTo(client, { resources: sized('2'), resizePolicy })
  const after = first(await until((status) => first(status).restartCount === 1 && ready(status)))
  assert.deepEqual([after.resources, after.allocatedResources?.cpu], [sized('2'), '2'])
  assert.equal(runtime.newest('web')?.spec.resources.cpuQuotaMicros, 200_000)
})

test('a resize waits for room that another pod has, and is made when that goes', async (t) => {
  const { client, until, gone } = await setup(t)
  podIn(client, { containers: [containerOf('web', { resources: sized('3') })] }, 'other')
  podIn(client, { containers: [containerOf('web', { resources: sized('1') })] })
  await until(ready)
  await resizeTo(client, { resources: sized('2') })
  await until(({ conditions }) => conditions?.some((c) => c.type === 'PodResizePending' && c.reason === 'Deferred'))
  await client.delete(Pod, { namespace: 'shop', name: 'other' }, { gracePeriodSeconds: 0 })
  await gone('other')
  await until((status) => first(status).resources?.limits?.cpu === '2')
})

test('the end of a log is read for what a container says of its end, however long the log', async (t) => {
  const { client, until, runtime } = await setup(t)
  podIn(client, { restartPolicy: 'Never', containers: [containerOf('web', { terminationMessagePolicy: 'FallbackToLogsOnError' })] })
  await until(ready)
  const { logPath } = runtime.newest('web')!.spec
  const line = (text: string) => `2025-01-01T00:00:00.000000000Z stdout F ${text}\n`
  // Lines of two bytes a character, so that the part that is read begins within one.
  await writeFile(logPath, line('é'.repeat(3000)).repeat(100) + Array.from({ length: 200 }, (_, n) => line(`line ${n}`)).join(''))
  runtime.exit('web', 1)
  const { containerStatuses } = await until(({ phase }) => phase === 'Failed')
  assert.equal(containerStatuses![0]!.state.terminated?.message, Array.from({ length: 80 }, (_, n) => `line ${120 + n}\n`).join(''))
})

test('what waits on init containers says so, and a pod runs until its last sidecar has ended', async (t) => {
  const { client, until, runtime } = await setup(t)
  const sidecar = containerOf('side', { restartPolicy: 'Always' })
  podIn(client, {
    restartPolicy: 'Never',
    initContainers: [sidecar, containerOf('one'), containerOf('two')],
    terminationGracePeriodSeconds: 30,
  })
  const status = await until(({ initContainerStatuses: inits }) => inits?.[1]?.state.running)
  assert.equal(status.initContainerStatuses![2]!.state.waiting?.reason, 'PodInitializing')
  assert.equal(status.containerStatuses![0]!.state.waiting?.reason, 'PodInitializing')
  runtime.exit('one', 0)
  await until(({ initContainerStatuses: inits }) => inits?.[2]?.state.running)
  runtime.exit('two', 0)
  await until(ready)
  runtime.stubborn.add('side')
  runtime.exit('web', 0)
  const ending = await until(({ containerStatuses }) => containerStatuses?.[0]?.state.terminated)
  assert.equal(ending.phase, 'Running')
  assert.equal(ending.initContainerStatuses![0]!.state.running !== undefined, true)
  runtime.exit('side', 0)
  await until(({ phase }) => phase === 'Succeeded')
})
