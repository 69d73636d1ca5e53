// The scheduler against a server in memory. Time stands still until the test moves it.

import assert from 'node:assert/strict'
import { fakeClient } from '#api/client/fake.ts'
import { fakeClock, settle } from '#api/clock.fake.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { informers } from '#api/informer/informers.ts'
import { Namespace, Node, Pod } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import type { PodSpec } from '#api/types/core-v1.gen.ts'
import type { SchedulerConfiguration } from './config/configuration.ts'
import { schedule } from './scheduler.ts'

export const namespace = 'default'

export async function setup(configuration?: SchedulerConfiguration) {
  const clock = fakeClock()
  const client = fakeClient({ clock })
  const stop = new AbortController()
  const shared = informers({ client, log: silent, clock, random: () => 0.5 })
  const told: string[] = []
  const recorderFor = (name: string): EventRecorder => ({
    event: (object, type, reason, message) =>
      void told.push(`${name === 'default-scheduler' ? '' : `${name}: `}${(object as Pod).metadata.name} ${type} ${reason} ${message}`),
    flush: async () => {},
    close: async () => {},
  })
  await client.create(Namespace, { metadata: { name: namespace } })
  const running = schedule({
    client,
    informers: shared,
    recorderFor,
    clock,
    random: () => 0,
    log: silent,
    signal: stop.signal,
    ...(configuration && { configuration }),
  })
  await settle()
  const put = (name: string, cpu = '1', spec: Partial<PodSpec> = {}) =>
    client.create(Pod, {
      metadata: { name, namespace },
      spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }], ...spec },
    })
  return {
    clock,
    client,
    told,
    put,
    node: (name: string, cpu = '2') =>
      client.put(Node, {
        metadata: { name },
        spec: {},
        status: { allocatable: { cpu, memory: '4Gi', pods: '110' }, conditions: [{ type: 'Ready', status: 'True' }] },
      }),
    where: async () => (await client.list(Pod)).items.map(({ metadata, spec }) => `${metadata.name} ${spec.nodeName ?? '-'}`),
    async [Symbol.asyncDispose]() {
      stop.abort()
      await shared.close()
      await running
      assert.equal(clock.pending, 0)
    },
  }
}
