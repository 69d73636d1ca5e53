// What every namespace is given: the `default` service account, and the cluster's certificate authority
// for pods that talk to the API server.

import { isStatus } from '#api/errors.ts'
import { ConfigMap, Namespace, ServiceAccount } from '#api/kinds/index.ts'
import { done, mapped, type Reconciler } from '#api/queue/reconciler.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'

const defaultAccount = 'default'
const rootCa = 'kube-root-ca.crt'

/** Made anew when deleted. */
export function serviceAccounts({ client, informers }: Deps): Reconciler {
  const namespaces = informers.of(Namespace)
  const accounts = informers.of(ServiceAccount)
  return {
    name: 'serviceaccount',
    watches: [
      mapped(Namespace, ({ metadata }) => [metadata.name]),
      mapped(ServiceAccount, ({ metadata }) => (metadata.name === defaultAccount ? [metadata.namespace ?? ''] : [])),
    ],
    async reconcile(namespace, signal) {
      const ref = { namespace, name: defaultAccount }
      if (!isAlive(namespaces.get(namespace)) || accounts.get(ref)) return done
      await client.create(ServiceAccount, { metadata: ref }, { signal }).catch(unlessPointless)
      return done
    },
  }
}

/** `ca` is PEM. Kept as it is, whatever someone writes there. */
export function rootCertificates({ client, informers }: Deps, ca: string): Reconciler {
  const namespaces = informers.of(Namespace)
  const selection = { fieldSelector: `metadata.name=${rootCa}` }
  const maps = informers.of(ConfigMap, selection)
  const description =
    'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.'
  return {
    name: 'root-ca',
    watches: [
      mapped(Namespace, ({ metadata }) => [metadata.name]),
      mapped(ConfigMap, ({ metadata }) => [metadata.namespace ?? ''], selection),
    ],
    async reconcile(namespace, signal) {
      if (!isAlive(namespaces.get(namespace))) return done
      const ref = { namespace, name: rootCa }
      const there = maps.get(ref)
      const annotations = { 'kubernetes.io/description': description }
      if (!there)
        await client.create(ConfigMap, { metadata: { ...ref, annotations }, data: { 'ca.crt': ca } }, { signal }).catch(unlessPointless)
      else if (there.data?.['ca.crt'] !== ca) await client.patch(ConfigMap, refOf(there), 'merge', { data: { 'ca.crt': ca } }, { signal })
      return done
    },
  }
}

const isAlive = (namespace: { metadata: { deletionTimestamp?: string } } | undefined): boolean =>
  namespace !== undefined && !namespace.metadata.deletionTimestamp

/** Someone else was first, or the namespace is on its way out. */
function unlessPointless(error: unknown): void {
  if (!isStatus(error, 'AlreadyExists', 'NotFound', 'Forbidden')) throw error
}
