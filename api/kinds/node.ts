import { familyOf } from '../cidr.ts'
import { Node } from './index.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { validateQuantity } from './rules/container-resources.ts'
import { type Faults, same } from './rules/faults.ts'
import { isCidr } from './rules/forms.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { validateTaints } from './rules/taints.ts'
import type { KindSpec } from './spec.ts'

const roleLabel = 'node-role.kubernetes.io/'
const address = (node: Node, type: string) => node.status?.addresses?.find((a) => a.type === type)?.address ?? none
const info = (node: Node, field: 'kubeletVersion' | 'osImage' | 'kernelVersion' | 'containerRuntimeVersion') =>
  node.status?.nodeInfo?.[field] || '<unknown>'

export function nodeStatus(node: Node): string {
  const ready = node.status?.conditions?.find((c) => c.type === 'Ready')
  const text = ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'
  return node.spec?.unschedulable ? `${text},SchedulingDisabled` : text
}

export function nodeRoles(node: Node): string {
  const labels = node.metadata.labels ?? {}
  const roles = Object.keys(labels)
    .filter((l) => l.startsWith(roleLabel) && l.length > roleLabel.length)
    .map((l) => l.slice(roleLabel.length))
  const old = labels['kubernetes.io/role']
  if (old) roles.push(old)
  return [...new Set(roles)].sort().join(',') || none
}

export const node: KindSpec<Node> = {
  kind: Node,
  singular: 'node',
  shortNames: ['no'],
  status: true,
  subresources: [
    { name: 'proxy', kind: { group: '', version: 'v1', kind: 'NodeProxyOptions' }, verbs: ['create', 'delete', 'get', 'patch', 'update'] },
  ],
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Status', description: 'The status of the node', cell: nodeStatus },
    { name: 'Roles', description: 'The roles of the node', cell: nodeRoles },
    ageColumn,
    { name: 'Version', description: 'Kubelet Version reported by the node.', cell: (n) => n.status?.nodeInfo?.kubeletVersion ?? '' },
    { name: 'Internal-IP', wide: true, description: 'List of addresses reachable to the node.', cell: (n) => address(n, 'InternalIP') },
    { name: 'External-IP', wide: true, description: 'List of addresses reachable to the node.', cell: (n) => address(n, 'ExternalIP') },
    { name: 'OS-Image', wide: true, description: 'OS Image reported by the node.', cell: (n) => info(n, 'osImage') },
    { name: 'Kernel-Version', wide: true, description: 'Kernel Version reported by the node.', cell: (n) => info(n, 'kernelVersion') },
    {
      name: 'Container-Runtime',
      wide: true,
      description: 'ContainerRuntime Version reported by the node.',
      cell: (n) => info(n, 'containerRuntimeVersion'),
    },
  ],
  fields: { 'spec.unschedulable': (n) => String(n.spec?.unschedulable ?? false) },
  defaults(n) {
    // What a node can give to pods is all it has, unless it says less.
    if (n.status?.capacity && !n.status.allocatable) n.status.allocatable = { ...n.status.capacity }
  },
  *warnings({ spec }) {
    if (spec?.configSource) yield 'spec.configSource: the feature is no longer available'
    if (spec?.externalID) yield 'spec.externalID: this field is deprecated, and is unused by Kubernetes'
  },
  validate(n, faults) {
    validateTaints('spec.taints', n.spec?.taints, faults)
    validatePodCidrs(n, faults)
    for (const list of ['capacity', 'allocatable'] as const) {
      for (const [name, amount] of Object.entries(n.status?.[list] ?? {})) validateQuantity(`status.${list}.${name}`, name, amount, faults)
    }
  },
  validateUpdate(next, previous, faults) {
    const seen = new Set<string>()
    for (const [i, address] of (next.status?.addresses ?? []).entries()) {
      const key = `${address.type}/${address.address}`
      if (seen.has(key)) faults.duplicate(`status.addresses[${i}]`, address)
      seen.add(key)
    }
    const cidrs = previous.spec?.podCIDRs ?? []
    if (previous.spec?.podCIDR === next.spec?.podCIDR && cidrs.length > 0 && !same(next.spec?.podCIDRs, cidrs))
      faults.forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid')
    if (previous.spec?.podCIDR && next.spec?.podCIDR !== previous.spec.podCIDR) {
      faults.forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid')
    }
    if (previous.spec?.providerID && next.spec?.providerID !== previous.spec.providerID) {
      faults.forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid')
    }
  },
}

/** Those of a node's pods: one range for each family. */
function validatePodCidrs({ spec }: Node, faults: Faults): void {
  const cidrs = spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : [])
  const field = 'spec.podCIDRs'
  const before = faults.list.length
  for (const [i, cidr] of cidrs.entries()) faults.each(`${field}[${i}]`, cidr, isCidr(cidr))
  if (cidrs.length < 2 || faults.list.length > before) return
  if (cidrs.length > 2 || new Set(cidrs.map(familyOf)).size < cidrs.length)
    faults.invalid(field, cidrs, 'may specify no more than one CIDR for each IP family')
  for (const [i, cidr] of cidrs.entries()) if (cidrs.indexOf(cidr) < i && i < 3) faults.duplicate(`${field}[${i}]`, cidr)
}
