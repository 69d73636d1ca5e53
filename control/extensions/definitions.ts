// Follows the CustomResourceDefinitions: gives them their names, has their kinds served from the moment
// that it says so, and ends what goes with a definition that is deleted. Every server follows them for
// itself, so that all of them serve the same.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { cleanupFinalizer } from '#api/kinds/custom-resource-definition.ts'
import { CustomResourceDefinition } from '#api/kinds/index.ts'
import type { Kind } from '#api/kinds/kind.ts'
import type { Log } from '#api/log.ts'
import { WorkQueue } from '#api/queue/queue.ts'
import { type Cleanup, isTrue, planStatus } from './conditions.ts'
import { offersSame } from './custom-kind.ts'

/** What a server does with the kinds of a definition. */
export type Offers = {
  /** Serves them as the definition now has them. Resolves once a request for them is answered. */
  set(definition: CustomResourceDefinition): Promise<void>
  /** Ends them, and every watch on them. */
  remove(name: string): void
  /** Deletes their objects; tells what is left. */
  empty(definition: CustomResourceDefinition): Promise<Cleanup>
}

export type DefinitionsDeps = {
  client: Client
  clock: Clock
  log: Log
  offers: Offers
  /** The definitions that there are. */
  all(): CustomResourceDefinition[]
  builtin: readonly Kind[]
}

/** Milliseconds between looks at what a definition that is going still has. */
const lookAgainMs = 1000

export class Definitions {
  readonly #deps: DefinitionsDeps
  readonly #queue: WorkQueue
  /** As they are served, by name. */
  readonly #served = new Map<string, CustomResourceDefinition>()
  #working: Promise<void> | undefined

  constructor(deps: DefinitionsDeps) {
    this.#deps = deps
    this.#queue = new WorkQueue({ clock: deps.clock, backoff: { first: 5, longest: 30_000 } })
  }

  /** Resolves once all that were established before are served. */
  async start(): Promise<void> {
    for (const definition of this.#deps.all()) {
      if (isTrue(definition, 'Established'))
        await this.#serve(definition).catch((error: unknown) => this.#failed(definition.metadata.name, error))
      this.#queue.add(definition.metadata.name)
    }
    this.#working = this.#work()
  }

  /** One has come, changed or gone. */
  heard({ metadata, spec }: CustomResourceDefinition, previous: CustomResourceDefinition | undefined, gone: boolean): void {
    // At once: who hears that it is gone and looks which kinds there are must not find its kind.
    if (gone) this.#remove(metadata.name)
    this.#queue.add(metadata.name)
    // Its names may be what another waits for.
    if (!gone && previous?.metadata.generation === metadata.generation) return
    for (const other of this.#deps.all()) {
      if (other.spec.group === spec.group && !isTrue(other, 'NamesAccepted')) this.#queue.add(other.metadata.name)
    }
  }

  /** An object of the definition is gone: it may have been the last. */
  emptied(name: string): void {
    if (this.#served.get(name)?.metadata.deletionTimestamp) this.#queue.add(name)
  }

  async close(): Promise<void> {
    this.#queue.close()
    await this.#working
  }

  async #work(): Promise<void> {
    for (let name = await this.#queue.take(); name !== undefined; name = await this.#queue.take()) {
      try {
        await this.#reconcile(name)
        this.#queue.forget(name)
      } catch (error) {
        this.#failed(name, error)
      }
      this.#queue.done(name)
    }
  }

  #failed(name: string, error: unknown): void {
    const ms = this.#queue.retry(name)
    // Somebody else wrote: look again.
    if (!isStatus(error, 'Conflict', 'NotFound')) this.#deps.log.warn({ definition: name, err: error, ms }, 'cannot serve a definition')
  }

  async #reconcile(name: string): Promise<void> {
    const { client, clock } = this.#deps
    const definitions = this.#deps.all()
    const definition = definitions.find(({ metadata }) => metadata.name === name)
    if (!definition) return this.#remove(name)
    const others = [
      ...definitions
        .filter((other) => other !== definition && other.spec.group === definition.spec.group)
        .map(({ status }) => status.acceptedNames),
      ...this.#deps.builtin.filter((kind) => kind.group === definition.spec.group),
    ]
    const planned = { ...definition, status: planStatus(definition, { others, now: clock.now() }) }
    // Served before it is called so: who waits for that finds it.
    if (isTrue(planned, 'Established')) await this.#serve(planned)
    const cleanup = await this.#cleanUp(planned)
    const status = cleanup ? planStatus(planned, { others, cleanup, now: clock.now() }) : planned.status
    const current =
      status === definition.status
        ? definition
        : await client.update(CustomResourceDefinition, { ...definition, status }, { subresource: 'status' })
    if (!cleanup) return
    if (cleanup.left || cleanup.failure) return this.#queue.addAfter(name, lookAgainMs)
    const finalizers = current.metadata.finalizers?.filter((each) => each !== cleanupFinalizer) ?? []
    await client.update(CustomResourceDefinition, { ...current, metadata: { ...current.metadata, finalizers } })
  }

  #remove(name: string): void {
    this.#served.delete(name)
    this.#deps.offers.remove(name)
  }

  async #serve(definition: CustomResourceDefinition): Promise<void> {
    const served = this.#served.get(definition.metadata.name)
    if (served && offersSame(served, definition)) return
    await this.#deps.offers.set(definition)
    this.#served.set(definition.metadata.name, definition)
  }

  /** Of one that is going and was served: what is in it goes first. */
  async #cleanUp(definition: CustomResourceDefinition): Promise<Cleanup | undefined> {
    const { deletionTimestamp, finalizers } = definition.metadata
    if (!deletionTimestamp || !finalizers?.includes(cleanupFinalizer)) return undefined
    return isTrue(definition, 'Established') ? await this.#deps.offers.empty(definition) : { left: 0 }
  }
}
