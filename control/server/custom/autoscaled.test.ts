// An autoscaler and a custom resource: whatever has a scale is a target, by discovery.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidrs } from '#api/cidr.ts'
import { HorizontalPodAutoscaler } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { startControllers } from '#control/controllers/index.ts'
import { podRanges } from '#control/controllers/node/cidr.ts'
import { trial } from '../testing/trial.fake.ts'
import { definition, establish } from './resources.fake.ts'

const widgets = '/apis/example.com/v1/namespaces/test/widgets'
const replicas = { type: 'object', properties: { n: { type: 'integer' }, selector: { type: 'string' } } }
const schema = { type: 'object', properties: { spec: replicas, status: replicas } }
const version = {
  subresources: {
    status: {},
    scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n', labelSelectorPath: '.status.selector' },
  },
}

test('a custom resource with a scale is brought within its bounds; one without has none to get', async () => {
  const server = await trial()
  const stop = new AbortController()
  const running = startControllers({
    client: server.client,
    log: silent,
    clock: server.clock,
    signal: stop.signal,
    ca: 'CA',
    podRanges: podRanges(parseCidrs('10.42.0.0/16')!, { IPv4: 24, IPv6: 64 }),
  })
  const namespace = 'test'
  const target = (kind: string, name: string) => ({ scaleTargetRef: { apiVersion: 'example.com/v1', kind, name }, maxReplicas: 3 })
  const told = async (name: string) =>
    (await server.client.get(HorizontalPodAutoscaler, { namespace, name })).status.conditions?.map(
      ({ type, status, reason }) => `${type} ${status} ${reason}`,
    )
  try {
    await establish(server, definition('widgets', { schema, version }))
    await establish(server, definition('lamps', { schema }))
    await server.ask('POST', widgets, { metadata: { name: 'a' }, spec: { n: 9 } })
    await server.ask('POST', widgets.replace('widgets', 'lamps'), { metadata: { name: 'l' }, spec: { n: 9 } })
    await server.client.create(HorizontalPodAutoscaler, { metadata: { name: 'a', namespace }, spec: target('Widget', 'a') })
    await server.client.create(HorizontalPodAutoscaler, { metadata: { name: 'l', namespace }, spec: target('Lamp', 'l') })
    for (let i = 0; i < 20; i += 1) await server.clock.advance(1000)
    assert.equal((await server.ask('GET', `${widgets}/a`)).body.spec.n, 3)
    assert.equal((await server.ask('GET', `${widgets.replace('widgets', 'lamps')}/l`)).body.spec.n, 9)
    assert.ok((await told('a'))?.some((each) => each.startsWith('AbleToScale True')))
    assert.deepEqual(await told('l'), ['AbleToScale False FailedGetScale'])
  } finally {
    stop.abort()
    await running
    await server.close()
  }
})
