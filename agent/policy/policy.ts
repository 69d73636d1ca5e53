// Network policies: objects in, nf_tables out. It is told of every change; `apply` then programs the difference
// to what the kernel has, as one transaction, and is in force for the next packet of every connection, also
// of those that are established. Calls may overlap; they run one after the other.

import type { NftError } from 'nft-js'
import type { Log } from '#api/log.ts'
import type { Namespace, Pod } from '#api/types/core-v1.gen.ts'
import type { NetworkPolicy } from '#api/types/networking-v1.gen.ts'
import type { OwnTables, Ruleset } from '../ruleset/ruleset.ts'
import { Desired, type ObjectName } from './desired.ts'
import { type Family, groupOf, type Layout, layoutOf } from './layout.ts'
import type { Placed } from './members.ts'
import { type Content, contentOf, plan } from './plan.ts'

/** A policy that is not in force as it was meant; `reason` is for people. */
export type PolicyError = { policy: NetworkPolicy; reason: string }

export interface Policy extends AsyncDisposable {
  /** Undefined: it is gone. This and the others take effect with the next `apply`. */
  policyChanged(name: ObjectName, policy: NetworkPolicy | undefined): void
  /** A pod of any node, as `trimPod` leaves it or whole, by its uid. */
  podChanged(uid: string, pod: Pod | undefined): void
  /** A pod has its addresses on this node, whether or not the server knows. */
  placedChanged(uid: string, placed: Placed | undefined): void
  namespaceChanged(name: string, namespace: Namespace | undefined): void
  /**
   * Enforces the policies that it was told of, and no others, on the pods of this node. A policy that makes no sense, or that the
   * kernel refuses, allows less than it says, and is told. Throws SysError if nothing could be changed.
   */
  apply(): Promise<{ errors: PolicyError[] }>
  /** Deletes the tables: no pod of this node is isolated any more. */
  remove(): Promise<void>
  /** What is programmed stays in force while the agent is restarted. */
  close(): Promise<void>
}

export type PolicyOptions = {
  ruleset: Ruleset
  log: Log
  nodeName: string
  families: readonly Family[]
  /** Told of the families in which pods of this node are to be isolated, before they are; if it throws, nothing is changed. */
  judging?: (families: ReadonlySet<Family>) => Promise<void>
}

export const openPolicy = (options: PolicyOptions): Policy => new NftPolicy(options)

class NftPolicy implements Policy {
  readonly #log: Log
  readonly #layouts: readonly Layout[]
  readonly #desired: Desired
  readonly #judging: PolicyOptions['judging']
  readonly #tables: OwnTables<readonly (Content | undefined)[]>

  constructor({ ruleset, log, nodeName, families, judging }: PolicyOptions) {
    this.#log = log
    this.#judging = judging
    this.#layouts = families.map(layoutOf)
    this.#desired = new Desired(nodeName)
    this.#tables = ruleset.own({
      tables: this.#layouts.map(({ table }) => table),
      adopt: (tables) => tables.map((table) => table && contentOf(table)),
      log,
    })
  }

  policyChanged(name: ObjectName, policy: NetworkPolicy | undefined): void {
    this.#desired.policyChanged(name, policy)
  }

  podChanged(uid: string, pod: Pod | undefined): void {
    this.#desired.members.podChanged(uid, pod)
  }

  placedChanged(uid: string, placed: Placed | undefined): void {
    this.#desired.members.placedChanged(uid, placed)
  }

  namespaceChanged(name: string, namespace: Namespace | undefined): void {
    this.#desired.members.namespaceChanged(name, namespace)
  }

  async apply(): Promise<{ errors: PolicyError[] }> {
    const errors = this.#desired.refresh().map(({ policy, faults }) => ({ policy, reason: faults.join('; ') }))
    const closed = new Set<string>()
    let fromNothing = false
    const contents = () => this.#layouts.map((layout) => this.#desired.content(layout, closed))
    let wanted = contents()
    await this.#judging?.(new Set(this.#layouts.flatMap(({ family }, i) => (isJudged(wanted[i] as Content) ? [family] : []))))
    await this.#tables.apply(
      (known) => ({
        commands: this.#layouts.flatMap(({ table }, i) => plan(table, fromNothing ? undefined : known[i], wanted[i] as Content)),
        done: () => wanted,
      }),
      (error) => {
        const group = this.#desired.group(blamed(error) ?? '')
        if (group && !closed.has(group.name)) {
          closed.add(group.name)
          wanted = contents()
          for (const { policy } of group.meanings)
            errors.push({ policy, reason: `its pods are closed for ${group.direction}: ${error.message}` })
          return true
        }
        // Something of a stranger is in the way.
        this.#log.warn({ err: error }, 'the policies are programmed from nothing')
        const isFirst = !fromNothing
        fromNothing = true
        return isFirst
      },
    )
    return { errors }
  }

  remove(): Promise<void> {
    return this.#tables.remove()
  }

  async close(): Promise<void> {
    await this.#tables.applied()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Packets pass a chain at all. */
const isJudged = ({ chains }: Content): boolean => [...chains.values()].some(({ chain }) => chain.base)

/** The group of whose chain or sets the kernel refused a part. */
const blamed = ({ command }: NftError): string | undefined => {
  switch (command?.does) {
    case 'add element':
      return groupOf(command.elements.spec.name)
    case 'add set':
      return groupOf(command.set.name)
    case 'add chain':
      return groupOf(command.chain.name)
    case 'add rule':
      return groupOf(command.chain)
    default:
      return undefined
  }
}
