// The garbage collector: what has only owners that are gone, goes. It keeps the graph of all objects of
// every kind served, custom ones included, from their metadata alone, and takes an owner for gone only on
// the server's own word.

import type { ServedKind } from '#api/client/client.ts'
import { sleep } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import type { Informer } from '#api/informer/informer.ts'
import { CustomResourceDefinition } from '#api/kinds/index.ts'
import { apiVersionOf, type Kind, type KubeObject } from '#api/kinds/kind.ts'
import { WorkQueue } from '#api/queue/queue.ts'
import type { OwnerReference } from '#api/types/meta-v1.gen.ts'
import type { Deps } from '../deps.ts'
import { awaitsDependents, foreground, Graph, letGo, orphan, type Thing } from './graph.ts'
import { judge, type OwnerState } from './plan.ts'

/** Milliseconds between looks at which kinds are served. */
const rediscover = 15_000
const workers = 8
/** Made and forgotten by the thousand, and owned by nobody. */
const ignored = new Set(['/events', 'events.k8s.io/events', 'coordination.k8s.io/leases'])

/** Resolves once the signal has aborted and nothing is under way. */
export async function collectGarbage({ client, informers, clock, log, recorderFor }: Deps, signal: AbortSignal): Promise<void> {
  const graph = new Graph()
  const queue = new WorkQueue({ clock, backoff: { first: 5, longest: 30_000 } })
  const kinds = new Map<string, Followed>()
  const events = recorderFor('garbage-collector-controller')
  let changed = Promise.withResolvers<void>()
  /** Uids that the server said do not exist; a uid never comes back. */
  const gone = new Set<string>()
  /** References across namespaces that were told of, as `dependent owner`. */
  const told = new Set<string>()
  signal.addEventListener('abort', () => queue.close(), { once: true })

  const heard = (kind: Kind, object: KubeObject) => {
    if (isDefinition(kind)) changed.resolve()
    const { thing, before } = graph.set(kind, object)
    if (thing.owners.length || thing.deleting) queue.add(thing.uid)
    for (const { uid } of letGo(thing, before)) queue.add(uid)
    // Whoever waits for us may have us to look at again, and who waits for its owner too.
    if (thing.deleting) for (const { uid } of thing.owners) queue.add(uid)
    if (awaitsDependents(thing)) for (const dependent of graph.dependentsOf(thing.uid)) queue.add(dependent.uid)
  }
  const lost = (kind: Kind, { metadata }: KubeObject) => {
    if (isDefinition(kind)) changed.resolve()
    const dependents = graph.dependentsOf(metadata.uid)
    const last = graph.delete(metadata.uid)
    if (dependents.length) remember(gone, metadata.uid)
    for (const { uid } of dependents) queue.add(uid)
    for (const { uid } of [...(metadata.ownerReferences ?? []), ...(last?.owners ?? [])]) queue.add(uid)
  }

  async function discover(): Promise<void> {
    const served = (await client.kinds({ signal })).filter(
      ({ group, plural, verbs }) => ['list', 'watch', 'delete'].every((verb) => verbs.includes(verb)) && !ignored.has(`${group}/${plural}`),
    )
    for (const kind of served) {
      const id = idOf(kind)
      if (kinds.has(id)) continue
      const informer = informers.metadataOf(kind)
      kinds.set(id, { kind, informer })
      informer.on({
        add: (object) => heard(kind, object),
        update: (object) => heard(kind, object),
        delete: (object) => lost(kind, object),
      })
    }
    const now = new Set(served.map(idOf))
    for (const [id, followed] of kinds) if (!now.has(id)) await drop(id, followed)
  }

  /** No longer served, or in another version now. That says nothing about its objects. */
  async function drop(id: string, { kind, informer }: Followed): Promise<void> {
    kinds.delete(id)
    for (const { metadata } of informer.list()) if (graph.get(metadata.uid)?.kind === kind) graph.delete(metadata.uid)
    await informers.forget(kind)
  }

  async function ownerState(thing: Thing, ref: OwnerReference): Promise<OwnerState> {
    const known = graph.get(ref.uid)
    if (known) {
      if (known.kind.namespaced && known.namespace !== thing.namespace) {
        tell(thing, ref)
        // Of another namespace, it cannot be meant; and what belongs to none cannot have an owner that does.
        return thing.namespace ? 'gone' : 'solid'
      }
      return awaitsDependents(known) ? 'waiting' : 'solid'
    }
    if (gone.has(ref.uid)) return 'gone'
    const kind = kindOf(ref)
    // Not served now, perhaps later: nothing is deleted on a guess.
    if (!kind || (kind.namespaced && !thing.namespace)) return 'solid'
    const live = await client.find(
      kind,
      { name: ref.name, ...(kind.namespaced && thing.namespace && { namespace: thing.namespace }) },
      { signal },
    )
    if (live?.metadata.uid === ref.uid)
      return live.metadata.deletionTimestamp && live.metadata.finalizers?.includes(foreground) ? 'waiting' : 'solid'
    remember(gone, ref.uid)
    return 'gone'
  }

  function tell(thing: Thing, { apiVersion, kind, name, uid }: OwnerReference): void {
    const reference = `${thing.uid} ${uid}`
    if (told.has(reference)) return
    remember(told, reference)
    const namespace = thing.namespace ?? ''
    const involved = { apiVersion: apiVersionOf(thing.kind), kind: thing.kind.kind, name: thing.name, namespace, uid: thing.uid }
    const owner = `[${apiVersion}/${kind}, namespace: ${namespace}, name: ${name}, uid: ${uid}]`
    events.event(involved, 'Warning', 'OwnerRefInvalidNamespace', `ownerRef ${owner} does not exist in namespace "${namespace}"`)
  }

  const kindOf = ({ apiVersion, kind }: OwnerReference): ServedKind | undefined => {
    const exact = kinds.get(`${apiVersion} ${kind}`)
    if (exact) return exact.kind
    const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : ''
    return kinds.values().find((served) => served.kind.group === group && served.kind.kind === kind)?.kind
  }

  async function tend(uid: string): Promise<void> {
    const thing = graph.get(uid)
    if (!thing) return
    const owners = new Map<string, OwnerState>()
    if (!thing.deleting) for (const ref of thing.owners) owners.set(ref.uid, await ownerState(thing, ref))
    const verdict = judge(thing, owners, graph)
    switch (verdict.do) {
      case 'delete':
        log.debug({ kind: thing.kind.kind, name: thing.name, namespace: thing.namespace }, 'its owners are gone')
        await client.delete(thing.kind, refTo(thing), {
          propagationPolicy: verdict.policy,
          preconditions: { uid, resourceVersion: thing.resourceVersion },
          signal,
        })
        break
      case 'disown': {
        const disowned = new Set(verdict.owners)
        await write(thing, { ownerReferences: thing.owners.filter((ref) => !disowned.has(ref)) })
        break
      }
      case 'release':
        await write(thing, { finalizers: thing.finalizers.filter((name) => name !== verdict.finalizer) })
        break
      case 'orphan':
        for (const dependent of graph.dependentsOf(uid)) {
          await write(dependent, { ownerReferences: dependent.owners.filter((ref) => ref.uid !== uid) })
        }
        await write(thing, { finalizers: thing.finalizers.filter((name) => name !== orphan) })
        break
      case 'await':
        for (const dependent of verdict.dependents) if (!dependent.deleting) queue.add(dependent.uid)
        break
      default:
    }
  }

  const write = (thing: Thing, change: { ownerReferences?: OwnerReference[]; finalizers?: string[] }) =>
    client.patch(
      thing.kind,
      refTo(thing),
      'merge',
      { metadata: { uid: thing.uid, resourceVersion: thing.resourceVersion, ...change } },
      { signal },
    )

  async function work(): Promise<void> {
    for (let uid = await queue.take(); uid !== undefined; uid = await queue.take()) {
      try {
        await tend(uid)
        queue.forget(uid)
      } catch (error) {
        if (signal.aborted) return
        if (isStatus(error, 'NotFound')) queue.forget(uid)
        else if (queue.retry(uid) > 1000) log.warn({ uid, err: error }, 'cannot collect')
      }
      queue.done(uid)
    }
  }

  const working = Array.from({ length: workers }, work)
  while (!signal.aborted) {
    changed = Promise.withResolvers<void>()
    await discover().catch((error: unknown) => log.debug({ err: error }, 'cannot tell which kinds are served'))
    const rest = new AbortController()
    await Promise.race([changed.promise, sleep(clock, rediscover, AbortSignal.any([signal, rest.signal]))])
    rest.abort()
  }
  await Promise.all(working)
}

type Followed = { kind: ServedKind; informer: Pick<Informer<KubeObject>, 'list'> }

/** The last thousand. */
function remember(set: Set<string>, text: string): void {
  set.add(text)
  if (set.size > 1000) set.delete(set.values().next().value as string)
}

const idOf = (kind: Kind): string => `${apiVersionOf(kind)} ${kind.kind}`
/** Whose changes are changes of the kinds that are served. */
const isDefinition = ({ group, kind }: Kind): boolean => group === CustomResourceDefinition.group && kind === CustomResourceDefinition.kind

const refTo = ({ name, namespace }: Thing) => ({ name, ...(namespace && { namespace }) })
