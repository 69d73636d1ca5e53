// A pod runs as a service account, and finds its token where every client looks for it.

import type { Clock } from '#api/clock.ts'
import { sleep } from '#api/clock.ts'
import { ServiceAccount } from '#api/kinds/index.ts'
import type { Pod, Volume } from '#api/types/core-v1.gen.ts'
import { type Admission, forbidden, isKind, type Review } from './admission.ts'
import type { Find } from './find.ts'

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount'
const volumePrefix = 'kube-api-access-'
/** A little more than an hour: what is renewed hourly never quite runs out. */
const tokenSeconds = 3607
/** The account of a new namespace comes a moment after it. */
const patience = { attempts: 20, ms: 50 }

export const serviceAccounts = ({ find, clock, suffix }: { find: Find; clock: Clock; suffix: () => string }): Admission => ({
  name: 'ServiceAccount',
  async mutate(review) {
    if (review.operation !== 'CREATE' || review.subresource !== '' || !isKind(review, '', 'Pod')) return
    const pod = review.object as Pod
    if (!pod.spec) return
    const name = pod.spec.serviceAccountName || 'default'
    pod.spec.serviceAccountName = name
    pod.spec.serviceAccount = name
    const account = await accountOf(find, clock, review, name)
    if (!pod.spec.imagePullSecrets?.length && account.imagePullSecrets?.length) {
      pod.spec.imagePullSecrets = account.imagePullSecrets.map((secret) => ({ ...secret }))
    }
    if (pod.spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true) mountToken(pod, suffix)
  },
})

async function accountOf(find: Find, clock: Clock, review: Review, name: string): Promise<ServiceAccount> {
  const ref = { namespace: review.namespace ?? '', name }
  for (let attempt = 1; ; attempt += 1) {
    const account = await find(ServiceAccount, ref)
    if (account) return account
    if (name !== 'default' || attempt === patience.attempts) {
      throw forbidden(review, `error looking up service account ${ref.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`)
    }
    await sleep(clock, patience.ms)
  }
}

function mountToken({ spec }: Pod, suffix: () => string): void {
  const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].filter(
    (c) => !c.volumeMounts?.some((m) => m.mountPath === mountPath),
  )
  if (containers.length === 0) return
  let volume = spec.volumes?.find((v) => v.name.startsWith(volumePrefix))
  if (!volume) {
    volume = tokenVolume(`${volumePrefix}${suffix()}`)
    spec.volumes = [...(spec.volumes ?? []), volume]
  }
  for (const container of containers) {
    container.volumeMounts = [...(container.volumeMounts ?? []), { name: volume.name, readOnly: true, mountPath }]
  }
}

const tokenVolume = (name: string): Volume => ({
  name,
  projected: {
    defaultMode: 0o644,
    sources: [
      { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
      { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
    ],
  },
})
