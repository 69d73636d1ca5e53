// The deployment that the controllers' tests work with, and ways to look at what became of it.

import type { New } from '#api/client/client.ts'
import { Deployment, Pod, ReplicaSet } from '#api/kinds/index.ts'
import type { Harness } from './harness.fake.ts'

export const namespace = 'default'
export const web = (replicas = 3, image = 'web:1', more: Partial<Deployment['spec']> = {}): New<Deployment> => ({
  metadata: { name: 'web', namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', image, resources: { requests: { cpu: '100m' } } }] },
    },
    ...more,
  },
})

export const pods = async ({ client }: Harness) => (await client.list(Pod, { namespace, labelSelector: 'app=web' })).items
export const sets = async ({ client }: Harness) =>
  (await client.list(ReplicaSet, { namespace })).items
    .map(
      ({ metadata, spec, status }) =>
        `${metadata.annotations?.['deployment.kubernetes.io/revision']}: ${spec.replicas}/${status?.availableReplicas ?? 0}`,
    )
    .sort()
export const images = async (h: Harness) => (await pods(h)).map(({ spec }) => spec.containers[0]?.image ?? '').sort()
export const deployment = (h: Harness) => h.client.get(Deployment, { namespace, name: 'web' })
export const condition = (object: Deployment, type: string) => object.status.conditions?.find((c) => c.type === type)
