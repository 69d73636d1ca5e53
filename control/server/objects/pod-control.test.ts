// Pod control on the server itself: what controllers write is known to them as soon as it is answered.

import type { Client } from '#api/client/client.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import { informers } from '#api/informer/informers.ts'
import { observing } from '#api/informer/observing.ts'
import { Pod, ReplicaSet } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import { conformanceOwner, podControlConformance } from '#control/controllers/pod-control/conformance.ts'
import { podControl } from '#control/controllers/pod-control/pod-control.ts'
import { trial } from '../testing/trial.fake.ts'

podControlConformance('on the server itself', async () => {
  const { client, clock, close } = await trial()
  const shared = informers({ client, log: silent, clock, random: () => 0.5 })
  const told: string[] = []
  const events: EventRecorder = {
    event: (_object, _type, reason, message) => void told.push(`${reason} ${message}`),
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
  let asked = 0
  let refusal: Error | undefined
  const refusing: Client = {
    ...client,
    async create(...given) {
      asked += 1
      if (refusal) throw refusal
      return await client.create(...given)
    },
  }
  const seen = observing(client, shared)
  await shared.of(Pod).synced
  const owner = await seen.create(ReplicaSet, conformanceOwner)
  return {
    control: podControl({ client: observing(refusing, shared), informers: shared, events }),
    owner,
    orphan: (name, labels) =>
      seen.create(Pod, { metadata: { name, namespace: 'default', labels }, spec: conformanceOwner.spec.template.spec }),
    async relabel({ metadata }, labels) {
      await seen.patch(Pod, metadata, 'merge', { metadata: { labels } })
    },
    async doom() {
      await client.patch(ReplicaSet, owner.metadata, 'merge', { metadata: { finalizers: ['example.com/held'] } })
      await client.delete(ReplicaSet, owner.metadata)
    },
    refuse: (error) => void (refusal = error),
    get asked() {
      return asked
    },
    told: async () => told,
    async close() {
      await shared.close()
      await close()
    },
  }
})
