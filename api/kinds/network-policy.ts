import type { NetworkPolicyPeer, NetworkPolicyPort } from '../types/networking-v1.gen.ts'
import { NetworkPolicy } from './index.ts'
import { cidrWarnings } from './rules/address-warnings.ts'
import { ageColumn, nameColumn, selectorText } from './rules/columns.ts'
import type { Faults } from './rules/faults.ts'
import { isCidr, isStrictSubset } from './rules/forms.ts'
import { isDns1123Subdomain, isPortName } from './rules/names.ts'
import { validateLabelSelector } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

export const networkPolicy: KindSpec<NetworkPolicy> = {
  kind: NetworkPolicy,
  singular: 'networkpolicy',
  shortNames: ['netpol'],
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [nameColumn, { name: 'Pod-Selector', cell: (p) => selectorText(p.spec.podSelector) }, ageColumn],
  defaults({ spec }) {
    if (!spec) return
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of rule.ports ?? []) port.protocol ??= 'TCP'
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']
  },
  *warnings({ spec }) {
    for (const [side, rules] of [
      ['ingress', spec.ingress?.map(({ from }) => from)] as const,
      ['egress', spec.egress?.map(({ to }) => to)] as const,
    ]) {
      for (const [i, peers = []] of (rules ?? []).entries()) {
        for (const [j, { ipBlock }] of peers.entries()) {
          const at = `spec.${side}[${i}].${side === 'ingress' ? 'from' : 'to'}[${j}].ipBlock`
          if (ipBlock) yield* cidrWarnings(`${at}.cidr`, ipBlock.cidr)
          for (const [k, except] of (ipBlock?.except ?? []).entries()) yield* cidrWarnings(`${at}.except[${k}]`, except)
        }
      }
    }
  },
  validate({ spec }, faults) {
    if (!spec) return faults.required('spec')
    validateLabelSelector('spec.podSelector', spec.podSelector ?? {}, faults)
    for (const [i, { ports = [], from = [] }] of (spec.ingress ?? []).entries()) {
      validateRule(`spec.ingress[${i}]`, ports, 'from', from, faults)
    }
    for (const [i, { ports = [], to = [] }] of (spec.egress ?? []).entries()) validateRule(`spec.egress[${i}]`, ports, 'to', to, faults)
    const types = spec.policyTypes ?? []
    if (types.length > 2) return faults.invalid('spec.policyTypes', types, 'may not specify more than two policyTypes')
    for (const [i, type] of types.entries()) faults.oneOf(`spec.policyTypes[${i}]`, type, ['Ingress', 'Egress'])
  },
}

function validateRule(at: string, ports: NetworkPolicyPort[], side: string, peers: NetworkPolicyPeer[], faults: Faults): void {
  for (const [i, port] of ports.entries()) validatePort(`${at}.ports[${i}]`, port, faults)
  for (const [i, peer] of peers.entries()) validatePeer(`${at}.${side}[${i}]`, peer, faults)
}

function validatePort(at: string, { protocol, port, endPort }: NetworkPolicyPort, faults: Faults): void {
  faults.oneOf(`${at}.protocol`, protocol, ['TCP', 'UDP', 'SCTP'])
  if (typeof port === 'number') {
    faults.port(`${at}.port`, port)
    if (endPort === undefined) return
    if (endPort < port) faults.invalid(`${at}.endPort`, endPort, 'must be greater than or equal to `port`')
    faults.port(`${at}.endPort`, endPort)
    return
  }
  if (port !== undefined) faults.each(`${at}.port`, port, isPortName(port))
  if (endPort !== undefined)
    faults.invalid(
      `${at}.endPort`,
      endPort,
      port === undefined ? 'may not be specified when `port` is not specified' : 'may not be specified when `port` is non-numeric',
    )
}

function validatePeer(at: string, { podSelector, namespaceSelector, ipBlock }: NetworkPolicyPeer, faults: Faults): void {
  if (podSelector) validateLabelSelector(`${at}.podSelector`, podSelector, faults)
  if (namespaceSelector) validateLabelSelector(`${at}.namespaceSelector`, namespaceSelector, faults)
  if (!ipBlock) {
    if (!podSelector && !namespaceSelector) faults.required(at, 'must specify a peer')
    return
  }
  if (podSelector || namespaceSelector) faults.forbidden(at, 'may not specify both ipBlock and another peer')
  const { cidr, except = [] } = ipBlock
  if (!cidr) return faults.required(`${at}.ipBlock.cidr`)
  faults.each(`${at}.ipBlock.cidr`, cidr, isCidr(cidr))
  for (const [i, inner] of except.entries()) {
    const field = `${at}.ipBlock.except[${i}]`
    const wrong = isCidr(inner)
    faults.each(field, inner, wrong)
    if (wrong.length === 0 && isCidr(cidr).length === 0 && !isStrictSubset(inner, cidr))
      faults.invalid(field, inner, 'must be a strict subset of `cidr`')
  }
}
