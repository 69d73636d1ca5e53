// What every cluster has from its first moment: the system namespaces, roles, priorities and flow control, and the
// services through which pods reach the API server and the DNS.

import { addressAt, type Cidr, familyOf } from '#api/cidr.ts'
import type { Client, New } from '#api/client/client.ts'
import { isStatus } from '#api/errors.ts'
import { ConfigMap, CSIDriver, EndpointSlice, Endpoints, Namespace, PriorityClass, Role, Service, StorageClass } from '#api/kinds/index.ts'
import { systemPriorities } from '#api/kinds/priority-class.ts'
import { same } from '#api/kinds/rules/faults.ts'
import { localDriver } from '#api/local-volumes.ts'
import { specialAddress } from '#api/special-address.ts'
import { ensureFlowControl } from '#control/fairness/ensure.ts'
import { frontProxyName } from '#control/pki/pki.ts'
import { ensureRoles } from './default-roles.ts'

export type BootstrapOptions = {
  client: Client
  /** Of the API server, as pods and nodes reach it. */
  advertise: { address: string; port: number }
  serviceCidrs: readonly Cidr[]
  /** By default the tenth address of each range. */
  clusterDNS?: readonly string[] | undefined
  /** PEM: of clients' certificates, and of the one with which this server calls others in their name. */
  authorities: { clients: string; frontProxy: string }
}

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']
const mark = { component: 'apiserver', provider: 'kubernetes' }

/** Volumes of the nodes' own disks: nothing is attached, and a claim waits for the node that its first pod gets. */
const localVolumes: New<CSIDriver> = {
  metadata: { name: localDriver },
  spec: { attachRequired: false, podInfoOnMount: false, fsGroupPolicy: 'File', volumeLifecycleModes: ['Persistent'] },
}
const localClass: New<StorageClass> = {
  metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: localDriver,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
  allowVolumeExpansion: true,
}

/** Makes what is missing; the endpoints of the API server follow its address. */
export async function bootstrap({ client, advertise, serviceCidrs, clusterDNS, authorities }: BootstrapOptions): Promise<void> {
  const [kubernetes = ''] = serviceCidrs.map((cidr) => addressAt(cidr, 1))
  const dns = [...(clusterDNS ?? serviceCidrs.map((cidr) => addressAt(cidr, 10)))]
  for (const name of namespaces) await ensure(() => client.create(Namespace, { metadata: { name } }))
  await Promise.all([
    ensureRoles(client),
    ensureFlowControl(client),
    ...systemPriorities.map(({ name, ...priority }) => ensure(() => client.create(PriorityClass, { metadata: { name }, ...priority }))),
    ensure(() => client.create(CSIDriver, localVolumes)),
    ensure(() => client.create(StorageClass, localClass)),
  ])
  await ensureService({
    metadata: { name: 'kubernetes', namespace: 'default', labels: mark },
    spec: {
      type: 'ClusterIP',
      clusterIP: kubernetes,
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: advertise.port }],
    },
  })
  await ensureService({
    metadata: {
      name: 'kube-dns',
      namespace: 'kube-system',
      labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/cluster-service': 'true', 'kubernetes.io/name': 'CoreDNS' },
    },
    spec: {
      type: 'ClusterIP',
      ...familiesOf(dns),
      ports: [
        { name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 },
        { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 },
      ],
    },
  })
  await publishAddress(client, advertise)
  await publishAuthentication(client, authorities)

  // Looked for first: its address would be refused as taken before its name is.
  async function ensureService(service: New<Service>): Promise<void> {
    const { namespace, name = '' } = service.metadata
    const there = await client.find(Service, { ...(namespace && { namespace }), name })
    if (!there) await client.create(Service, service)
    // The cluster has become dual-stack, or no longer is.
    const { clusterIP, clusterIPs } = service.spec ?? {}
    if (there && clusterIPs && there.spec.clusterIP === clusterIP && !same(there.spec.clusterIPs, clusterIPs))
      await client.update(Service, { ...there, spec: { ...there.spec, ...familiesOf(clusterIPs) } })
  }
}

/** How servers behind this one know it, and whom to trust: they read it with a role of its own. */
async function publishAuthentication(client: Client, { clients, frontProxy }: BootstrapOptions['authorities']): Promise<void> {
  const ref = { namespace: 'kube-system', name: 'extension-apiserver-authentication' }
  const data = {
    'client-ca-file': clients,
    'requestheader-allowed-names': JSON.stringify([frontProxyName]),
    'requestheader-client-ca-file': frontProxy,
    'requestheader-extra-headers-prefix': JSON.stringify(['X-Remote-Extra-']),
    'requestheader-group-headers': JSON.stringify(['X-Remote-Group']),
    'requestheader-uid-headers': JSON.stringify(['X-Remote-Uid']),
    'requestheader-username-headers': JSON.stringify(['X-Remote-User']),
  }
  const there = await client.find(ConfigMap, ref)
  if (!there) await ensure(() => client.create(ConfigMap, { metadata: ref, data }))
  else if (!same(there.data, data)) await client.update(ConfigMap, { ...there, data })
  const rules = [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [ref.name], verbs: ['get', 'list', 'watch'] }]
  const labels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
  await ensure(() => client.create(Role, { metadata: { namespace: ref.namespace, name: `${ref.name}-reader`, labels }, rules }))
}
const familiesOf = (addresses: readonly string[]) => ({
  clusterIP: addresses[0] ?? '',
  clusterIPs: [...addresses],
  ipFamilies: addresses.map(familyOf),
  ipFamilyPolicy: addresses.length > 1 ? ('RequireDualStack' as const) : ('SingleStack' as const),
})

async function publishAddress(client: Client, { address, port }: BootstrapOptions['advertise']): Promise<void> {
  // A server without nodes: from a pod its address would lead nowhere.
  if (specialAddress(address) !== undefined) return
  const ref = { namespace: 'default', name: 'kubernetes' }
  const subsets = [{ addresses: [{ ip: address }], ports: [{ name: 'https', port, protocol: 'TCP' as const }] }]
  const service = await client.find(Service, ref)
  if (service && service.spec.ports?.[0]?.targetPort !== port) {
    const [first, ...others] = service.spec.ports ?? []
    if (first) await client.update(Service, { ...service, spec: { ...service.spec, ports: [{ ...first, targetPort: port }, ...others] } })
  }
  const endpoints = await client.find(Endpoints, ref)
  const skip = { 'endpointslice.kubernetes.io/skip-mirror': 'true' }
  if (!endpoints) await ensure(() => client.create(Endpoints, { metadata: { ...ref, labels: skip }, subsets }))
  else if (!same(endpoints.subsets, subsets)) await client.update(Endpoints, { ...endpoints, subsets })
  const content = {
    addressType: familyOf(address),
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: 'https', port, protocol: 'TCP' as const }],
  }
  let slice = await client.find(EndpointSlice, ref)
  // What a slice lists never changes its kind.
  if (slice && slice.addressType !== content.addressType) {
    await client.delete(EndpointSlice, ref)
    slice = undefined
  }
  const labels = { 'kubernetes.io/service-name': 'kubernetes' }
  if (!slice) await ensure(() => client.create(EndpointSlice, { metadata: { ...ref, labels }, ...content }))
  else if (!same(slice.endpoints, content.endpoints) || !same(slice.ports, content.ports))
    await client.update(EndpointSlice, { ...slice, ...content })
}

async function ensure(create: () => Promise<unknown>): Promise<void> {
  try {
    await create()
  } catch (error) {
    if (!isStatus(error, 'AlreadyExists')) throw error
  }
}
