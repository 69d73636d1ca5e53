// All controllers on the real API server, with workloads in all sorts of states, broken ones too: once nothing
// changes any more, nothing is written. What a controller writes differs from what is stored in small things
// (zeros, empty lists, defaults), and one that takes them for a difference writes for ever.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidrs } from '#api/cidr.ts'
import type { Client } from '#api/client/client.ts'
import * as kinds from '#api/kinds/index.ts'
import type { Kind } from '#api/kinds/kind.ts'
import { silent } from '#api/log.ts'
import { startControllers } from '#control/controllers/index.ts'
import { podRanges } from '#control/controllers/node/cidr.ts'
import { trial } from '../testing/trial.fake.ts'

const writing = ['create', 'update', 'patch', 'delete'] as const
const template = (restartPolicy: 'Always' | 'Never' = 'Always') => ({
  metadata: { labels: { app: 'a' } },
  spec: { restartPolicy, containers: [{ name: 'c', image: 'i:1' }] },
})
const selector = { matchLabels: { app: 'a' } }
const job = (spec: object = {}) => ({ template: template('Never'), ...spec })
const cron = (spec: object = {}) => ({ schedule: '0 0 1 1 *', jobTemplate: { spec: job() }, ...spec })
const scaler = (name: string, metrics?: object[]) => ({
  scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name },
  maxReplicas: 5,
  ...(metrics && { metrics }),
})
const external = { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '10' } } }

const objects: [Kind, string, object][] = [
  [kinds.Deployment, 'web', { replicas: 2, selector, template: template() }],
  [
    kinds.Deployment,
    'zero',
    { replicas: 0, selector: { matchLabels: { app: 'z' } }, template: { ...template(), metadata: { labels: { app: 'z' } } } },
  ],
  [kinds.Job, 'waits', job({ completions: 3, parallelism: 2, completionMode: 'Indexed' })],
  [kinds.Job, 'by-index', job({ completions: 3, parallelism: 3, completionMode: 'Indexed', backoffLimitPerIndex: 1 })],
  [kinds.Job, 'suspended', job({ suspend: true })],
  [kinds.Job, 'nothing', job({ completions: 0 })],
  [kinds.Job, 'policies', job({ podFailurePolicy: { rules: [{ action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget' }] }] } })],
  [kinds.Job, 'not-ours', job({ managedBy: 'example.com/queue' })],
  [kinds.Job, 'to-end', job({ ttlSecondsAfterFinished: 1_000_000 })],
  [kinds.Job, 'to-fail', job({ backoffLimit: 0 })],
  [kinds.CronJob, 'yearly', cron({ timeZone: 'Europe/Berlin' })],
  [kinds.CronJob, 'off', cron({ schedule: '* * * * *', suspend: true })],
  [kinds.CronJob, 'never', cron({ schedule: '0 0 30 2 *' })],
  [kinds.HorizontalPodAutoscaler, 'blind', scaler('web')],
  [kinds.HorizontalPodAutoscaler, 'lost', scaler('gone')],
  [kinds.HorizontalPodAutoscaler, 'resting', scaler('zero', [external])],
]

test('nothing is written once nothing changes', async () => {
  const server = await trial()
  const stop = new AbortController()
  const writes: string[] = []
  const watched: Client = { ...server.client }
  for (const verb of writing) {
    const original = server.client[verb] as (...args: unknown[]) => unknown
    Object.assign(watched, {
      [verb]: (kind: Kind, ...rest: unknown[]) => {
        writes.push(`${verb} ${kind.kind} ${JSON.stringify((rest[0] as { metadata?: object }).metadata ?? rest[0]).slice(0, 200)}`)
        return original(kind, ...rest)
      },
    })
  }
  const running = startControllers({
    client: watched,
    log: silent,
    clock: server.clock,
    signal: stop.signal,
    ca: 'CA',
    podRanges: podRanges(parseCidrs('10.42.0.0/16')!, { IPv4: 24, IPv6: 64 }),
  })
  const pass = async (times: number, ms: number) => {
    for (let i = 0; i < times; i += 1) await server.clock.advance(ms)
  }
  try {
    const namespace = 'test'
    for (const [kind, name, spec] of objects) await server.client.create(kind, { metadata: { name, namespace }, spec } as never)
    await server.client.create(kinds.Service, { metadata: { name: 'by-hand', namespace }, spec: { ports: [{ port: 80 }] } })
    const subsets = [{ addresses: [{ ip: '192.0.2.1' }], notReadyAddresses: [{ ip: '192.0.2.2' }], ports: [{ port: 80 }] }]
    await server.client.create(kinds.Endpoints, { metadata: { name: 'by-hand', namespace, annotations: { a: 'b' } }, subsets })
    await pass(20, 1000)
    for (const [name, phase] of [
      ['to-end', 'Succeeded'],
      ['to-fail', 'Failed'],
    ] as const) {
      const [pod] = (await server.client.list(kinds.Pod, { namespace, labelSelector: `job-name=${name}` })).items
      await server.client.update(kinds.Pod, { ...pod!, status: { ...pod!.status, phase } }, { subresource: 'status' })
    }
    await pass(40, 1000)
    const ends = (await server.client.list(kinds.Job, { namespace })).items
      .map(
        ({ metadata, status }) =>
          `${metadata.name} ${status.conditions?.findLast((c) => c.status === 'True')?.type ?? `${status.active ?? 0}`}`,
      )
      .sort()
    assert.deepEqual(ends, [
      'by-index 3',
      'not-ours 0',
      'nothing Complete',
      'policies 1',
      'suspended Suspended',
      'to-end Complete',
      'to-fail Failed',
      'waits 2',
    ])
    assert.equal(
      (await server.client.list(kinds.EndpointSlice, { namespace, labelSelector: 'kubernetes.io/service-name=by-hand' })).items.length,
      1,
    )
    writes.length = 0
    await pass(20, 15_000)
    assert.deepEqual(writes, [])
  } finally {
    stop.abort()
    await running
    await server.close()
  }
})
