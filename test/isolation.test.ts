// What keeps a pod from its neighbours and its node: given as it asks for it, or the pod is refused and says why.

import assert from 'node:assert/strict'
import { chmod, lstat, mkdir, mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { isForeign } from '#agent/folders.ts'
import { killAgent, startAgent } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'

const { plan, kubectl } = await testCluster({ nodes: 1 })
const [node] = plan.nodes

const apply = async (...pods: object[]) => {
  const items = pods.map((pod) => ({ apiVersion: 'v1', kind: 'Pod', ...pod }))
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  assert.equal(code, 0, stderr)
}
/** A pod of one container that runs a shell script. */
const pod = (name: string, script: string, { container = {}, spec = {}, metadata = {} } = {}) => ({
  metadata: { name, ...metadata },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'main', image: 'busybox:1.35', command: ['sh', '-c', script], ...container }],
    ...spec,
  },
})
const once = { restartPolicy: 'Never' }
const ready = (...names: string[]) => kubectl('wait', '--for=condition=Ready', ...names.map((name) => `pod/${name}`), '--timeout=60s')
const path = (name: string, at: string) => kubectl('get', 'pod', name, '-o', `jsonpath={${at}}`)
const forget = (...names: string[]) => kubectl('delete', 'pod', '--now', ...names)

test('system call filters: the usual one unless the pod says otherwise, none, and one of the node', async () => {
  const folder = join(node!.dir, 'seccomp')
  await mkdir(folder, { recursive: true })
  const noFolders = { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }] }
  await writeFile(join(folder, 'no-folders.json'), JSON.stringify(noFolders))
  const script = 'grep Seccomp: /proc/self/status; unshare -U true && echo unshared; mkdir /tmp/x && echo made; sleep 1000'
  const profile = (seccompProfile: object) => ({ container: { securityContext: { seccompProfile } } })
  const local = (localhostProfile: string) => profile({ type: 'Localhost', localhostProfile })
  await apply(
    pod('silent', script),
    pod('default', script, profile({ type: 'RuntimeDefault' })),
    pod('unconfined', script, profile({ type: 'Unconfined' })),
    pod('privileged', script, { container: { securityContext: { privileged: true } } }),
    pod('local', script, local('no-folders.json')),
    pod('missing', script, local('nowhere.json')),
  )
  await ready('silent', 'default', 'unconfined', 'privileged', 'local')
  const log = (name: string) =>
    eventually(async () => {
      const text = await kubectl('logs', name)
      assert.match(text, /made|mkdir: can't/)
      return text
    })
  for (const name of ['silent', 'default']) {
    const text = await log(name)
    assert.match(text, /Seccomp:\t2\n/)
    assert.match(text, /Operation not permitted/)
    assert.doesNotMatch(text, /unshared/)
    assert.match(text, /made/)
  }
  for (const name of ['unconfined', 'privileged']) assert.match(await log(name), /Seccomp:\t0\n(.*\n)*unshared\nmade/)
  assert.match(await log('local'), /Seccomp:\t2\n(.*\n)*unshared\nmkdir: can't create directory/)
  await eventually(async () =>
    assert.equal(await path('missing', '.status.containerStatuses[0].state.waiting.reason'), 'CreateContainerError'),
  )
  assert.match(await kubectl('describe', 'pod', 'missing'), /cannot load seccomp profile ".*nowhere.json": no such file/)
  await forget('silent', 'default', 'unconfined', 'privileged', 'local', 'missing')
})

test('what this node cannot give is refused, in words that kubectl describe shows', async () => {
  const sysctls = (name: string, value: string) => ({ spec: { securityContext: { sysctls: [{ name, value }] } } })
  await apply(
    pod('unsafe', 'sleep 1000', sysctls('kernel.msgmax', '65536')),
    pod('safe', 'cat /proc/sys/net/ipv4/ip_local_port_range; sleep 1000', sysctls('net.ipv4.ip_local_port_range', '20000 20100')),
    pod('users', 'sleep 1000', { spec: { hostUsers: false } }),
    pod('armoured', 'sleep 1000', { container: { securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } } }),
  )
  await eventually(async () => assert.equal(await path('unsafe', '.status.phase'), 'Failed'))
  assert.equal(await path('unsafe', '.status.reason'), 'SysctlForbidden')
  assert.match(await kubectl('describe', 'pod', 'unsafe'), /Warning +SysctlForbidden .*forbidden sysctl: "kernel.msgmax" not allowlisted/)
  await ready('safe')
  assert.equal(await kubectl('logs', 'safe'), '20000\t20100\n')
  await eventually(async () =>
    assert.match(await kubectl('describe', 'pod', 'users'), /FailedCreatePodSandBox .*runtime does not support user namespaces/),
  )
  assert.equal(await path('users', '.status.phase'), 'Pending')
  await eventually(async () => assert.equal(await path('armoured', '.status.reason'), 'AppArmor'))
  assert.match(await kubectl('describe', 'pod', 'armoured'), /Cannot enforce AppArmor: AppArmor is not enabled on the host/)
  await forget('unsafe', 'safe', 'users', 'armoured')
})

test("a fork bomb stays in its pod, and an agent's flags say how much that is", async () => {
  await killAgent(node!)
  await startAgent(plan, node!, '--pod-max-pids=64', '--no-seccomp-default', '--allowed-unsafe-sysctls=kernel.msg*')
  const bomb = 'bomb() { bomb | bomb & }; grep Seccomp: /proc/self/status; bomb; sleep 1000'
  await apply(
    pod('bomb', bomb, { spec: once }),
    pod('calm', 'cat /proc/sys/kernel/msgmax; sleep 1000', {
      spec: { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '65536' }] } },
    }),
  )
  await eventually(async () => assert.match(await kubectl('logs', 'bomb'), /Seccomp:\t0\n(.*\n)*.*can't fork/), { withinMs: 60_000 })
  await ready('calm')
  assert.equal(await kubectl('logs', 'calm'), '65536\n')
  assert.equal(await kubectl('exec', 'calm', '--', 'echo', 'well'), 'well\n')
  await kubectl('delete', 'pod', 'bomb', '--grace-period=1', '--timeout=60s')
  await forget('calm')
  await killAgent(node!)
  await startAgent(plan, node!)
})

test("the agent's folder is its own: whoever opened it, it is closed at the next start, and nothing in it is made open", async () => {
  await kubectl('create', 'configmap', 'words', '--from-literal=a=1')
  const volumes = [
    { name: 'e', emptyDir: {} },
    { name: 'c', configMap: { name: 'words' } },
  ]
  const volumeMounts = [
    { name: 'e', mountPath: '/e', subPath: 'x/y' },
    { name: 'c', mountPath: '/c/a', subPath: 'a' },
    { name: 'c', mountPath: '/all' },
  ]
  const securityContext = { runAsUser: 1000 }
  await apply(
    pod('plain', 'cat /c/a /all/a /etc/hosts > /e/seen; ls -ld / /e /all; sleep 1000', {
      container: { volumeMounts, securityContext },
      spec: { volumes },
    }),
  )
  await ready('plain')
  // What a user other than root needs to see of its container is there to be seen.
  await eventually(async () => assert.match(await kubectl('logs', 'plain'), /^drwxr-xr-x .* \/\ndrwxr-xr-x .* \/all\ndrwxrwxrwx .* \/e\n/))
  const open = async () => {
    const found: string[] = []
    const look = async (at: string): Promise<void> => {
      if (isForeign(relative(node!.dir, at))) return
      const facts = await lstat(at)
      if (facts.isSymbolicLink()) return
      // What conmon makes beside a container, and make up beside a node, is behind folders that are closed.
      if (facts.isDirectory() && facts.mode & 0o077) found.push(at)
      if (facts.isDirectory()) for (const name of await readdir(at)) await look(join(at, name))
    }
    await look(node!.dir)
    return found
  }
  assert.deepEqual(await open(), [])
  await killAgent(node!)
  await chmod(node!.dir, 0o755)
  await chmod(join(node!.dir, 'logs'), 0o777)
  await writeFile(join(node!.dir, 'sysctls.json.old'), '{}', { mode: 0o644 })
  await startAgent(plan, node!)
  await eventually(async () => {
    assert.deepEqual(await open(), [])
    assert.equal((await lstat(join(node!.dir, 'sysctls.json.old'))).mode & 0o7777, 0o600)
  })
  await eventually(async () => assert.equal(await kubectl('exec', 'plain', '--', 'cat', '/all/a'), '1'))
  await forget('plain')
})

test('kubectl cp into a container that swaps the folder for a link stays in the container', async () => {
  const outside = await mkdtemp(join(plan.dir, 'outside-'))
  const file = join(plan.dir, 'brought')
  await writeFile(file, 'brought')
  const swap = `mkdir /d; while :; do rm -rf /d/x; ln -s ${outside} /d/x; rm -rf /d/x; mkdir /d/x; done`
  await apply(pod('swaps', `mkdir -p ${outside}; ${swap}`))
  await ready('swaps')
  for (let round = 0; round < 8; round++) await kubectl.attempt(['cp', file, 'swaps:/d/x/brought'])
  for (let round = 0; round < 4; round++) await kubectl.attempt(['cp', 'swaps:/d', join(plan.dir, `taken-${round}`)])
  assert.deepEqual(await readdir(outside), [])
  assert.equal(await kubectl('exec', 'swaps', '--', 'echo', 'alive'), 'alive\n')
  await forget('swaps')
})

test('a flood of output costs its node a bounded log, and a deaf process no more than its grace', async () => {
  await apply(pod('flood', 'trap "" TERM; yes "nothing to say" | head -c 100000000; echo; echo through; while :; do sleep 1; done'))
  await ready('flood')
  await eventually(async () => assert.equal(await kubectl('logs', 'flood', '--tail=1'), 'through\n'), { withinMs: 120_000, everyMs: 500 })
  const logs = join(node!.dir, 'logs')
  let bytes = 0
  for (const name of await readdir(logs, { recursive: true })) bytes += (await lstat(join(logs, name))).size
  assert(bytes < 120 << 20, `${bytes} bytes of logs`)
  await kubectl('delete', 'pod', 'flood', '--timeout=60s')
})
