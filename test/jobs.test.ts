// Jobs, cron jobs, autoscalers and Endpoints written by hand, as their users meet them: through kubectl, with real
// containers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import type { Kubectl } from './cluster/kubectl.ts'
import { run } from './cluster/shell.ts'

const { kubectl, kubectls } = await testCluster({ nodes: 1 })

/** A job of one container that runs a shell script. */
const job = (name: string, script: string, { spec = '', restartPolicy = 'Never' } = {}) => `
apiVersion: batch/v1
kind: Job
metadata: { name: ${name} }
spec:
${spec.replace(/^/gm, '  ')}
  template:
    spec:
      restartPolicy: ${restartPolicy}
      terminationGracePeriodSeconds: 1
      containers: [{ name: main, image: "busybox:1.35", command: [sh, -c, ${JSON.stringify(script)}] }]
`
const apply = async (k: Kubectl, yaml: string) => {
  const { code, stderr } = await k.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}
const counts = (name: string) =>
  kubectl(
    'get',
    'job',
    name,
    '-o',
    'go-template={{or .status.active 0}} active, {{or .status.succeeded 0}} succeeded, {{or .status.failed 0}} failed',
  )
const pods = async (name: string) => (await kubectl('get', 'pods', '-l', `job-name=${name}`, '-o', 'name')).split('\n').filter(Boolean)

// Its first minute passes while the other tests run.
await kubectl('create', 'cronjob', 'tick', '--image=busybox:1.35', '--schedule=* * * * *', '--', 'date')
await kubectl('patch', 'cronjob', 'tick', '-p', '{"spec":{"timeZone":"Asia/Kolkata"}}')

for (const k of kubectls) {
  const version = (await k('version', '--client', '-o', 'json')).match(/"gitVersion": "([^"]+)"/)?.[1]

  test(`${version}: an indexed job, from apply to delete`, async () => {
    await apply(
      k,
      job('parts', 'echo part $JOB_COMPLETION_INDEX of $(hostname)', { spec: 'completionMode: Indexed\ncompletions: 4\nparallelism: 2' }),
    )
    await k('wait', '--for=condition=complete', 'job/parts', '--timeout=60s')
    assert.match(await k('get', 'job', 'parts'), /NAME +(STATUS +)?COMPLETIONS +DURATION +AGE\nparts +(Complete +)?4\/4 +/)
    const logs = await k('logs', '-l', 'job-name=parts')
    for (const index of [0, 1, 2, 3]) assert.match(logs, new RegExp(`part ${index} of parts-${index}\n`))
    const text = await k('describe', 'job', 'parts')
    for (const part of [/4 Succeeded/, /SuccessfulCreate .*Created pod: parts-0-/, /Completed .*Job completed/]) assert.match(text, part)
    assert.equal(await k('get', 'job', 'parts', '-o', 'jsonpath={.status.completedIndexes}'), '0-3')
    assert.equal(await counts('parts'), '0 active, 4 succeeded, 0 failed')
    await k('delete', 'job', 'parts')
    await eventually(async () => assert.deepEqual(await pods('parts'), []))
  })

  // Before 1.21 it knows them in a version only that has been gone for long.
  if (Number(version?.split('.')[1]) < 21) continue
  test(`${version}: a cron job, and a job made of it by hand`, async () => {
    await k('create', 'cronjob', 'yearly', '--image=busybox:1.35', '--schedule=0 0 1 1 *', '--', 'echo', 'from', 'cron')
    assert.match(
      await k('get', 'cronjob', 'yearly'),
      /NAME +SCHEDULE +(TIMEZONE +)?SUSPEND +ACTIVE +LAST SCHEDULE +AGE\nyearly +0 0 1 1 \*/,
    )
    await k('create', 'job', 'by-hand', '--from=cronjob/yearly')
    await k('wait', '--for=condition=complete', 'job/by-hand', '--timeout=60s')
    assert.equal(await k('logs', 'job/by-hand'), 'from cron\n')
    assert.match(await k('describe', 'cronjob', 'yearly'), /Schedule: +0 0 1 1 \*/)
    await k('delete', 'cronjob', 'yearly')
    await eventually(async () => assert.match((await k.attempt(['get', 'job', 'by-hand'])).stderr, /NotFound/))
  })
}

test('what fails is tried again, in place or anew, until it has failed too often', async () => {
  await apply(kubectl, job('in-place', 'exit 3', { spec: 'backoffLimit: 1', restartPolicy: 'OnFailure' }))
  await apply(kubectl, job('anew', 'exit 3', { spec: 'backoffLimit: 1' }))
  await apply(
    kubectl,
    job('policy', 'exit 42', { spec: 'podFailurePolicy: { rules: [{ action: FailJob, onExitCodes: { operator: In, values: [42] } }] }' }),
  )
  await Promise.all(['in-place', 'anew', 'policy'].map((name) => kubectl('wait', '--for=condition=failed', `job/${name}`, '--timeout=90s')))
  assert.match(await kubectl('describe', 'job', 'in-place'), /Warning +BackoffLimitExceeded .*Job has reached the specified backoff limit/)
  assert.match(await counts('anew'), /2 failed/)
  assert.match(await kubectl('describe', 'job', 'policy'), /failed with exit code 42 matching FailJob rule at index 0/)
  await kubectl('delete', 'job', 'in-place', 'anew', 'policy')
})

test('a pod that is deleted is replaced once it has ended, also one that never had a node; nothing is left behind', async () => {
  await apply(kubectl, job('runs', 'sleep 1000', { spec: 'podReplacementPolicy: Failed' }))
  await apply(
    kubectl,
    job('waits', 'sleep 1000', { spec: 'podReplacementPolicy: Failed' }).replace(
      'restartPolicy',
      'nodeSelector: { no: node }\n      restartPolicy',
    ),
  )
  await eventually(async () => assert.match(await kubectl('get', 'pods', '-l', 'job-name=runs'), /Running/), { withinMs: 30_000 })
  const before = [...(await pods('runs')), ...(await pods('waits'))]
  await kubectl('delete', ...before, '--timeout=30s')
  await eventually(async () => assert.deepEqual([(await pods('runs')).length, (await pods('waits')).length], [1, 1]), {
    withinMs: 40_000,
    everyMs: 500,
  })
  assert.match(await counts('runs'), /active, 0 succeeded, 1 failed/)
  await kubectl('delete', 'job', 'runs', 'waits', '--cascade=foreground', '--timeout=30s')
  assert.deepEqual([await pods('runs'), await pods('waits')], [[], []])
})

test('a job that has outlived its time goes with its pods', async () => {
  await apply(kubectl, job('brief', 'true', { spec: 'ttlSecondsAfterFinished: 2' }))
  await kubectl('wait', '--for=delete', 'job/brief', '--timeout=60s')
  assert.deepEqual(await pods('brief'), [])
})

test('busy pods become more, by autoscale of any kubectl', async () => {
  await apply(
    kubectl,
    `
apiVersion: apps/v1
kind: Deployment
metadata: { name: burn }
spec:
  selector: { matchLabels: { app: burn } }
  template:
    metadata: { labels: { app: burn } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - { name: c, image: "busybox:1.35", command: [sh, -c, "while :; do :; done"], resources: { requests: { cpu: 10m }, limits: { cpu: 100m } } }
`,
  )
  for (const k of kubectls) {
    await k('autoscale', 'deployment', 'burn', '--cpu-percent=50', '--min=1', '--max=3')
    if (k !== kubectl) await k('delete', 'hpa', 'burn')
  }
  await eventually(async () => assert.equal(await kubectl('get', 'deployment', 'burn', '-o', 'jsonpath={.status.replicas}'), '3'), {
    withinMs: 120_000,
    everyMs: 1000,
  })
  for (const k of kubectls)
    assert.match(
      await k('get', 'hpa', 'burn'),
      /NAME +REFERENCE +TARGETS +MINPODS +MAXPODS +REPLICAS +AGE\nburn +Deployment\/burn +(cpu: )?\d+%\/50% +1 +3 +\d/,
    )
  const text = await kubectl('describe', 'hpa', 'burn')
  assert.match(text, /Normal +SuccessfulRescale .*New size: 3; reason: cpu resource utilization \(percentage of request\) above target/)
  assert.match(text, /ScalingActive +True +ValidMetricFound/)
  await kubectl('delete', 'deployment/burn', 'hpa/burn')
})

test('a service without a selector leads to where Endpoints written by hand say', async () => {
  await kubectl('run', 'web', '--image=busybox:1.35', '--', 'sh', '-c', 'echo by hand > /tmp/index.html; exec httpd -f -p 8080 -h /tmp')
  await kubectl('wait', '--for=condition=Ready', 'pod/web', '--timeout=60s')
  const ip = await kubectl('get', 'pod', 'web', '-o', 'jsonpath={.status.podIP}')
  await apply(
    kubectl,
    `
{ apiVersion: v1, kind: Service, metadata: { name: by-hand }, spec: { ports: [{ port: 80 }] } }
---
{ apiVersion: v1, kind: Endpoints, metadata: { name: by-hand }, subsets: [{ addresses: [{ ip: ${ip} }], ports: [{ port: 8080 }] }] }
`,
  )
  const address = await kubectl('get', 'service', 'by-hand', '-o', 'jsonpath={.spec.clusterIP}')
  await eventually(async () => assert.equal(await run('curl', '-sS', '--fail', '--max-time', '3', `http://${address}/`), 'by hand\n'))
  assert.match(
    await kubectl('describe', 'endpointslice', '-l', 'kubernetes.io/service-name=by-hand'),
    /managed-by=endpointslicemirroring-controller.k8s.io/,
  )
  await kubectl('delete', 'service/by-hand', 'endpoints/by-hand', 'pod/web', '--grace-period=1')
  await eventually(async () =>
    assert.equal(await kubectl('get', 'endpointslices', '-l', 'kubernetes.io/service-name=by-hand', '-o', 'name'), ''),
  )
})

test('a schedule of every minute starts its first job within the minute, in its time zone', async () => {
  await eventually(async () => assert.match(await kubectl('get', 'jobs', '-o', 'name'), /job.batch\/tick-\d+/), {
    withinMs: 90_000,
    everyMs: 500,
  })
  const [name = ''] = /job.batch\/tick-\d+/.exec(await kubectl('get', 'jobs', '-o', 'name')) ?? []
  await kubectl('wait', '--for=condition=complete', name, '--timeout=60s')
  assert.match(await kubectl('get', name, '-o', 'yaml'), /cronjob-scheduled-timestamp: "?\d{4}-\d\d-\d\dT\d\d:\d\d:00\+05:30/)
  assert.match(await kubectl('describe', 'cronjob', 'tick'), /SuccessfulCreate .*Created job tick-\d+/)
  await kubectl('delete', 'cronjob', 'tick')
})
