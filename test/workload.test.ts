// What a container sees and how the agent treats it: files, environment, limits, probes, restarts, deletion.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { inside } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { run } from './cluster/shell.ts'

const { plan, kubectl } = await testCluster({ nodes: 1 })

const apply = async (yaml: string) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}
const phase = (pod: string) => kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.phase}')
const finished = (pod: string) => eventually(async () => assert.match(await phase(pod), /Succeeded|Failed/), { withinMs: 30_000 })
/** A pod of one container that runs a shell script. */
const pod = (name: string, script: string, { spec = '', container = '' } = {}) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  terminationGracePeriodSeconds: 2
${spec.replace(/^/gm, '  ')}
  containers:
    - name: main
      image: busybox:1.35
      command: [sh, -c, ${JSON.stringify(script)}]
${container.replace(/^/gm, '      ')}
`

test('environment and files come from ConfigMaps, Secrets and the pod itself', async () => {
  await kubectl('create', 'configmap', 'settings', '--from-literal=colour=blue', '--from-literal=shape=round')
  await kubectl('create', 'secret', 'generic', 'key', '--from-literal=password=s3cret')
  await apply(
    pod(
      'sees',
      'echo "$COLOUR $PASSWORD $POD_IP $shape $GREETING"; cat /settings/colour /key/password /scratch/x; ls -la /key/ ; id -u; cat /etc/resolv.conf; sleep 1000',
      {
        spec: 'volumes:\n- {name: settings, configMap: {name: settings}}\n- {name: key, secret: {secretName: key, defaultMode: 0400}}\n- {name: scratch, emptyDir: {}}\ninitContainers:\n- {name: first, image: "busybox:1.35", command: [sh, -c, "echo from-init > /scratch/x"], volumeMounts: [{name: scratch, mountPath: /scratch}]}',
        container:
          'env:\n- {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}\n- {name: PASSWORD, valueFrom: {secretKeyRef: {name: key, key: password}}}\n- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}\n- {name: GREETING, value: "hello $(COLOUR)"}\nenvFrom: [{configMapRef: {name: settings}}]\nvolumeMounts:\n- {name: settings, mountPath: /settings}\n- {name: key, mountPath: /key}\n- {name: scratch, mountPath: /scratch}',
      },
    ),
  )
  await kubectl('wait', '--for=condition=Ready', 'pod/sees', '--timeout=30s')
  const log = await kubectl('logs', 'sees')
  const ip = await kubectl('get', 'pod', 'sees', '-o', 'jsonpath={.status.podIP}')
  assert.match(log, new RegExp(`^blue s3cret ${ip} round hello blue\n`))
  assert.match(log, /blues3cretfrom-init\n/)
  assert.match(log, new RegExp(`^search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${plan.clusterDNS}\n`, 'm'))
  await kubectl('patch', 'configmap', 'settings', '-p', '{"data":{"colour":"red"}}')
  await eventually(async () => assert.equal(await kubectl('exec', 'sees', '--', 'cat', '/settings/colour'), 'red'), {
    withinMs: 90_000,
    everyMs: 500,
  })
  await kubectl('delete', 'pod', 'sees')
})

test('a part of a ConfigMap: what has changed since is there after a restart', async () => {
  await kubectl('create', 'configmap', 'part', '--from-literal=a=old')
  await apply(
    pod('part', 'cat /a; while ! test -e /tmp/go; do sleep 0.1; done; exit 1', {
      spec: 'volumes: [{name: part, configMap: {name: part}}, {name: late, configMap: {name: late, optional: true}}]',
      container: 'volumeMounts: [{name: part, mountPath: /a, subPath: a}, {name: late, mountPath: /late}]',
    }),
  )
  await kubectl('wait', '--for=condition=Ready', 'pod/part', '--timeout=30s')
  await kubectl('patch', 'configmap', 'part', '-p', '{"data":{"a":"newer"}}')
  await kubectl('create', 'configmap', 'late', '--from-literal=b=there')
  // Both were changed before: once the later one is seen, the other has been written as well, or is in the next moment.
  await eventually(async () => assert.equal(await kubectl('exec', 'part', '--', 'cat', '/late/b'), 'there'))
  await eventually(
    async () => {
      await kubectl.attempt(['exec', 'part', '--', 'touch', '/tmp/go'])
      assert.equal(await kubectl('logs', 'part'), 'newer')
    },
    { withinMs: 60_000, everyMs: 500 },
  )
  await kubectl('delete', 'pod', 'part', '--now')
})

test("a host port answers on the node's own loopback address", async () => {
  await apply(
    pod('hosted', 'mkdir /w; echo here > /w/index.html; httpd -f -p 8080 -h /w', {
      container: 'ports: [{containerPort: 8080, hostPort: 18088}]',
    }),
  )
  await kubectl('wait', '--for=condition=Ready', 'pod/hosted', '--timeout=30s')
  const [command, ...args] = [...inside(plan.nodes[0]!), 'curl', '-sS', '--fail', '--max-time', '3']
  for (const address of ['127.0.0.1', 'localhost', plan.nodes[0]!.addresses[0]!]) {
    await eventually(async () => assert.equal(await run(command, ...args, `http://${address}:18088/`), 'here\n'))
  }
  await kubectl('delete', 'pod', 'hosted', '--now')
})

test('several containers share the network; limits are cgroups; one over its memory is killed as OOMKilled', async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: { name: pair }
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - { name: server, image: "busybox:1.35", command: [sh, -c, "mkdir /w; echo near > /w/index.html; httpd -f -p 127.0.0.1:8080 -h /w"] }
    - name: client
      image: busybox:1.35
      command: [sh, -c, "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; sleep 1000"]
      resources: { limits: { memory: 20Mi, cpu: 200m } }
`)
  await kubectl('wait', '--for=condition=Ready', 'pod/pair', '--timeout=30s')
  await eventually(async () =>
    assert.equal(await kubectl('exec', 'pair', '-c', 'client', '--', 'wget', '-qO-', 'http://127.0.0.1:8080/'), 'near\n'),
  )
  assert.match(await kubectl('logs', 'pair', '-c', 'client'), /^20971520$/m)
  await kubectl('delete', 'pod', 'pair')
  await apply(
    pod('greedy', 'x=$(head -c 200000000 /dev/zero | tr "\\\\0" x); echo ${#x}', {
      spec: 'restartPolicy: Never',
      container: 'resources: {limits: {memory: 16Mi}}',
    }),
  )
  await finished('greedy')
  assert.equal(await kubectl('get', 'pod', 'greedy', '-o', 'jsonpath={.status.containerStatuses[0].state.terminated.reason}'), 'OOMKilled')
  await kubectl('delete', 'pod', 'greedy')
})

test('restart policies: Never keeps the exit code, OnFailure restarts with back-off, and CrashLoopBackOff shows', async () => {
  await apply(pod('fails', 'echo failing >&2; exit 3', { spec: 'restartPolicy: Never' }))
  await finished('fails')
  assert.equal(await phase('fails'), 'Failed')
  assert.equal(await kubectl('get', 'pod', 'fails', '-o', 'jsonpath={.status.containerStatuses[0].state.terminated.exitCode}'), '3')
  await apply(pod('succeeds', 'true', { spec: 'restartPolicy: OnFailure' }))
  await finished('succeeds')
  assert.match(await kubectl('get', 'pod', 'succeeds'), /0\/1 +Completed +0/)
  await apply(pod('loops', 'echo attempt; exit 1'))
  await eventually(async () => assert.match(await kubectl('get', 'pod', 'loops'), /CrashLoopBackOff/), { withinMs: 40_000 })
  assert.match(await kubectl('describe', 'pod', 'loops'), /Back-off restarting failed container/)
  assert.match(await kubectl('logs', 'loops', '--previous'), /attempt/)
  await kubectl('delete', 'pod', 'fails', 'succeeds', 'loops')
})

test('probes: readiness follows the service, liveness restarts, startup holds the others back', async () => {
  await apply(
    pod('ready', 'touch /tmp/up; sleep 1000', {
      container: 'readinessProbe: {exec: {command: [cat, /tmp/up]}, periodSeconds: 1, failureThreshold: 1}',
    }),
  )
  await kubectl('wait', '--for=condition=Ready', 'pod/ready', '--timeout=20s')
  await kubectl('expose', 'pod', 'ready', '--port=80')
  const ready = () => kubectl('get', 'endpoints', 'ready', '-o', 'jsonpath={.subsets[*].addresses[*].ip}')
  await eventually(async () => assert.notEqual(await ready(), ''))
  await kubectl('exec', 'ready', '--', 'rm', '/tmp/up')
  await eventually(async () => assert.equal(await ready(), ''))
  assert.match(await kubectl('describe', 'pod', 'ready'), /Readiness probe failed/)
  await apply(pod('lives', 'sleep 1000', { container: 'livenessProbe: {tcpSocket: {port: 9}, periodSeconds: 1, failureThreshold: 2}' }))
  await eventually(
    async () => assert.match(await kubectl('get', 'pod', 'lives', '-o', 'jsonpath={.status.containerStatuses[0].restartCount}'), /[1-9]/),
    { withinMs: 30_000 },
  )
  assert.match(await kubectl('describe', 'pod', 'lives'), /Liveness probe failed/)
  await kubectl('delete', 'service/ready', 'pod/ready', 'pod/lives')
})

test('deletion is graceful: preStop, TERM, time to finish; a deaf container is killed at the deadline', async () => {
  await apply(
    pod('polite', 'trap "echo got TERM; sleep 1; echo done; exit 0" TERM; echo up; while :; do sleep 0.1; done', {
      container: 'lifecycle: {preStop: {exec: {command: [sh, -c, "echo stopping > /proc/1/fd/1"]}}}',
    }),
  )
  await kubectl('wait', '--for=condition=Ready', 'pod/polite', '--timeout=20s')
  const follow = spawn(kubectl.program, ['logs', '-f', 'polite'], {
    env: { ...process.env, KUBECONFIG: plan.kubeconfig },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(follow, 'exit')
  let log = ''
  follow.stdout.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  await eventually(async () => assert.match(log, /up\n/))
  await kubectl('delete', 'pod', 'polite', '--grace-period=10')
  await ended
  assert.match(log, /up\nstopping\ngot TERM\ndone\n$/)
  await apply(pod('deaf', 'trap "" TERM; while :; do sleep 0.1; done'))
  await kubectl('wait', '--for=condition=Ready', 'pod/deaf', '--timeout=20s')
  const started = performance.now()
  await kubectl('delete', 'pod', 'deaf')
  const seconds = (performance.now() - started) / 1000
  assert.ok(seconds > 1.5 && seconds < 6, `the grace of 2 s took ${seconds.toFixed(1)} s`)
})

test('a terminal: kubectl exec -it gives a tty of the right size', async () => {
  await kubectl('run', 'shell', '--image=busybox:1.35', '--command', '--', 'sleep', '1000')
  await kubectl('wait', '--for=condition=Ready', 'pod/shell', '--timeout=20s')
  // script(1) gives kubectl a terminal of its own.
  const command = `stty rows 33 cols 99; ${kubectl.program} exec -it shell -- sh -c 'tty; stty size; exit 5'; echo "code $?"`
  const { attempt } = await import('./cluster/shell.ts')
  const { stdout } = await attempt('script', ['-qec', command, '/dev/null'], { env: { ...process.env, KUBECONFIG: plan.kubeconfig } })
  assert.match(stdout, /\/dev\/pts\/\d+/)
  assert.match(stdout, /33 99/)
  assert.match(stdout, /code 5/)
  await kubectl('delete', 'pod', 'shell', '--now')
})
