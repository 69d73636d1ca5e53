// kill -9 in the middle of a rollout: nothing lost, no container restarted.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { killAgent, killServer, startAgent, startServer } from './cluster/cluster.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import type { NodePlan } from './cluster/plan.ts'
import { run } from './cluster/shell.ts'

const { plan, kubectl } = await testCluster({ nodes: 2 })

const deployment = (name: string, replicas: number, colour: string) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: busybox:1.35
          command: [sh, -c, "trap exit TERM; while :; do sleep 0.2; done"]
          env: [{ name: COLOUR, value: ${colour} }]
`
const apply = async (yaml: string) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}
/** Pod name → container id and restart count, as the API tells. */
const containers = async (app: string) =>
  new Map(
    (
      await kubectl(
        'get',
        'pods',
        '-l',
        `app=${app}`,
        '-o',
        'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}{"\\n"}{end}',
      )
    )
      .split('\n')
      .filter(Boolean)
      .map((line) => [line.split(' ')[0] as string, line.split(' ').slice(1).join(' ')]),
  )
const node1 = plan.nodes[0] as NodePlan

test('the server and an agent are killed in the middle of a rollout; it completes and a bystander is untouched', async () => {
  await apply(deployment('bystander', 4, 'grey'))
  await apply(deployment('moving', 6, 'red'))
  await kubectl('rollout', 'status', 'deployment/bystander', '--timeout=60s')
  await kubectl('rollout', 'status', 'deployment/moving', '--timeout=60s')
  const before = await containers('bystander')
  assert.equal(before.size, 4)

  await apply(deployment('moving', 6, 'green'))
  await eventually(
    async () => assert.match(await kubectl('get', 'pods', '-l', 'app=moving'), /ContainerCreating|Terminating|Pending|6\/6/),
    { everyMs: 5 },
  )
  await Promise.all([killServer(plan), killAgent(node1)])
  await startServer(plan)
  await startAgent(plan, node1)

  await eventually(() => kubectl('get', 'nodes'))
  await kubectl('rollout', 'status', 'deployment/moving', '--timeout=90s')
  const colours = await kubectl('get', 'pods', '-l', 'app=moving', '-o', 'jsonpath={.items[*].spec.containers[0].env[0].value}')
  await eventually(async () => assert.equal((await containers('moving')).size, 6))
  assert.match(colours, /green/)
  assert.deepEqual(await containers('bystander'), before, 'same containers, no restart')
})

test('an object that was acknowledged before the kill is there after it', async () => {
  const created: string[] = []
  for (let i = 0; i < 30; i += 1) {
    await kubectl('create', 'configmap', `kept-${i}`, `--from-literal=n=${i}`)
    created.push(`kept-${i}`)
    if (i === 29) await killServer(plan)
  }
  await startServer(plan)
  const names = await eventually(() => kubectl('get', 'configmaps', '-o', 'name'))
  for (const name of created) assert.ok(names.includes(`configmap/${name}\n`), `${name} is missing`)
})

test('containers that exit while the agent is away are seen and restarted when it is back', async () => {
  await apply(deployment('away', 2, 'x'))
  await kubectl('rollout', 'status', 'deployment/away', '--timeout=60s')
  const before = await containers('bystander')
  const onNode1 = (
    await kubectl('get', 'pods', '-l', 'app=away', '-o', 'jsonpath={range .items[?(@.spec.nodeName=="node-1")]}{.metadata.name}{end}')
  ).trim()
  assert.ok(onNode1, 'one of them is on node-1')
  // The container's own main process ends while nobody watches.
  await kubectl('exec', onNode1, '--', 'sh', '-c', '(sleep 1; kill -TERM 1) >/dev/null 2>&1 &')
  await killAgent(node1)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await startAgent(plan, node1)
  await eventually(async () => assert.match((await containers('away')).get(onNode1) ?? '', / 1$/))
  assert.deepEqual(await containers('bystander'), before)
})

test('certificates are exchanged under an exec that runs; it goes on, new ones come, and no container is restarted', async () => {
  const before = await containers('bystander')
  const onNode1 = await kubectl(
    'get',
    'pods',
    '-l',
    'app=bystander',
    '-o',
    'jsonpath={range .items[?(@.spec.nodeName=="node-1")]}{.metadata.name} {end}',
  )
  const [pod = ''] = onNode1.split(' ')
  const inPod = (command: string) => kubectl('exec', pod, '--', 'sh', '-c', command)
  const running = inPod('touch /tmp/begun; while [ ! -e /tmp/end ]; do sleep 0.1; done; echo through')
  await eventually(() => inPod('test -e /tmp/begun'))
  const coracle = resolve(import.meta.dirname, '../bin/coracle')
  const certs = (what: string, dir: string) => run(coracle, 'certs', what, `--data-dir=${dir}`)
  const kept = (dir: string, file: string) => readFile(join(dir, 'pki', file), 'utf8')
  const files = [
    [plan.server.dir, 'server.crt'],
    [plan.server.dir, 'agents/client.crt'],
    ...plan.nodes.map(({ dir }) => [dir, 'credentials.json']),
  ]
  const all = () => Promise.all(files.map(([dir = '', file = '']) => kept(dir, file)))
  const old = await all()
  for (const dir of [plan.server.dir, ...plan.nodes.map((node) => node.dir)]) assert.match(await certs('renew', dir), /ENDS/)
  for (const [index, content] of (await all()).entries()) assert.notEqual(content, old[index], files[index]?.join('/'))
  assert.equal(await inPod('echo anew'), 'anew\n')
  await inPod('touch /tmp/end')
  assert.equal(await running, 'through\n')
  assert.deepEqual(await containers('bystander'), before)
})
