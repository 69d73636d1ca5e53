// What one NetworkPolicy says, read once. A part that makes no sense allows nothing, and is told; the
// rest of the policy holds: a mistake closes more than was meant, never less. (Whom a policy is for must
// make sense, or it is for nobody; the API server takes no such policy.)

import { isStatus } from '#api/errors.ts'
import { labelSelector, type Selector } from '#api/selector/label.ts'
import type { LabelSelector } from '#api/types/meta-v1.gen.ts'
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from '#api/types/networking-v1.gen.ts'
import type { Direction, Family } from './layout.ts'
import { isProtocol, type PortRange, type Protocol } from './ports.ts'
import { parseBlock, type Range, without } from './ranges.ts'

/** Pods by their labels, in namespaces by theirs; without `namespaces` in the policy's own. */
export type PodPeers = { readonly namespaces: Selector | undefined; readonly pods: Selector }

export type NamedPort = { readonly protocol: Protocol; readonly name: string }

/** What one rule allows: these peers on these ports. */
export type Rule = {
  /** Undefined: everyone. */
  readonly peers: { readonly pods: readonly PodPeers[]; readonly blocks: Readonly<Record<Family, readonly Range[]>> } | undefined
  /** Undefined: everything, also what has no ports. */
  readonly ports: { readonly numbers: readonly PortRange[]; readonly names: readonly NamedPort[] } | undefined
}

export type Meaning = {
  readonly policy: NetworkPolicy
  /** The pods it is for, of its namespace. */
  readonly pods: Selector | undefined
  /** What is allowed in a direction; undefined: the policy does not speak of it. */
  readonly rules: Readonly<Record<Direction, readonly Rule[] | undefined>>
  /** What is wrong with it, for people. */
  readonly faults: readonly string[]
}

const known = new WeakMap<NetworkPolicy, Meaning>()

/** Policies are frozen: the same object means the same. */
export const meaningOf = (policy: NetworkPolicy): Meaning => {
  const found = known.get(policy)
  if (found) return found
  const meaning = read(policy)
  known.set(policy, meaning)
  return meaning
}

type Fault = (where: string, what: string) => void

const read = (policy: NetworkPolicy): Meaning => {
  const faults: string[] = []
  const fault: Fault = (where, what) => faults.push(`${where}: ${what}`)
  const { podSelector, ingress, egress, policyTypes } = policy.spec ?? {}
  // As the API server defaults it, for policies that came by other ways.
  const types = policyTypes?.length ? policyTypes : egress?.length ? ['Ingress', 'Egress'] : ['Ingress']
  const pods = selectorOf(podSelector ?? {}, 'spec.podSelector', fault)
  const rules = {
    ingress: types.includes('Ingress')
      ? (ingress ?? []).map(({ from, ports }, i) => ruleOf(from, ports, `spec.ingress[${i}]`, 'from', fault))
      : undefined,
    egress: types.includes('Egress')
      ? (egress ?? []).map(({ to, ports }, i) => ruleOf(to, ports, `spec.egress[${i}]`, 'to', fault))
      : undefined,
  }
  return { policy, pods, rules, faults }
}

const ruleOf = (
  peers: readonly NetworkPolicyPeer[] | undefined,
  ports: readonly NetworkPolicyPort[] | undefined,
  at: string,
  side: string,
  fault: Fault,
): Rule => ({
  peers: peers?.length ? peersOf(peers, `${at}.${side}`, fault) : undefined,
  ports: ports?.length ? portsOf(ports, `${at}.ports`, fault) : undefined,
})

const peersOf = (peers: readonly NetworkPolicyPeer[], at: string, fault: Fault): Rule['peers'] => {
  const pods: PodPeers[] = []
  const blocks: Record<Family, Range[]> = { ip: [], ip6: [] }
  for (const [i, { podSelector, namespaceSelector, ipBlock }] of peers.entries()) {
    const where = `${at}[${i}]`
    if (ipBlock && (podSelector || namespaceSelector)) {
      fault(where, 'an ipBlock goes with no selector')
    } else if (ipBlock) {
      const block = parseBlock(ipBlock.cidr)
      const holes = (ipBlock.except ?? []).map((except) => ({ except, hole: parseBlock(except) }))
      const bad = block ? holes.find(({ hole }) => hole?.family !== block.family)?.except : ipBlock.cidr
      if (!block || bad !== undefined) fault(`${where}.ipBlock`, `${bad} is no block of addresses here`)
      else
        blocks[block.family].push(
          ...without(
            block.range,
            holes.flatMap(({ hole }) => hole?.range ?? []),
          ),
        )
    } else if (podSelector || namespaceSelector) {
      const inNamespaces = namespaceSelector && selectorOf(namespaceSelector, `${where}.namespaceSelector`, fault)
      const ofPods = selectorOf(podSelector ?? {}, `${where}.podSelector`, fault)
      if (ofPods && (inNamespaces || !namespaceSelector)) pods.push({ namespaces: inNamespaces, pods: ofPods })
    } else {
      fault(where, 'it says nobody')
    }
  }
  return { pods, blocks }
}

const portsOf = (ports: readonly NetworkPolicyPort[], at: string, fault: Fault): Rule['ports'] => {
  const numbers: PortRange[] = []
  const names: NamedPort[] = []
  for (const [i, { port, endPort, ...rest }] of ports.entries()) {
    const where = `${at}[${i}]`
    const protocol: string = rest.protocol ?? 'TCP'
    const last = endPort ?? port
    if (!isProtocol(protocol)) fault(where, `protocol ${protocol} has no ports`)
    else if (typeof port === 'string' && endPort === undefined) names.push({ protocol, name: port })
    else if (port === undefined && endPort === undefined) numbers.push({ protocol, first: 0, last: 65_535 })
    else if (isPort(port) && isPort(last) && port <= last) numbers.push({ protocol, first: port, last })
    else fault(where, `there are no ports ${port ?? ''}-${endPort ?? ''}`)
  }
  return { numbers, names }
}

const isPort = (port: unknown): port is number => typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535

const selectorOf = (selector: LabelSelector, at: string, fault: Fault): Selector | undefined => {
  try {
    return labelSelector(selector)
  } catch (error) {
    if (!isStatus(error, 'BadRequest')) throw error
    fault(at, error.message)
    return undefined
  }
}
