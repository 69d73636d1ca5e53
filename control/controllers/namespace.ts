// Ends a namespace: deletes all that is in it, waits until it is gone, then lets the namespace go.

import { breather } from '#api/breather.ts'
import type { ServedKind } from '#api/client/client.ts'
import { timestamp } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Namespace } from '#api/kinds/index.ts'
import { apiVersionOf, type KubeObject } from '#api/kinds/kind.ts'
import { after, done, of, type Reconciler } from '#api/queue/reconciler.ts'
import type { NamespaceCondition } from '#api/types/core-v1.gen.ts'
import { Ages } from './ages.ts'
import type { Deps } from './deps.ts'
import { refOf } from './ownership.ts'
import { canonical } from './template.ts'

const finalizer = 'kubernetes'
/** Milliseconds between looks at a namespace that still holds something: the longer it takes, the rarer. */
const lookAgain = { first: 250, longest: 10_000, share: 0.1 }

/** Kinds that are looked at, and deletions of each that are under way, at a time. */
const kindsAtOnce = 4
const deletionsAtOnce = 16

/** What is left of one kind. `failure`: it could not be listed or deleted. */
export type Remains = { kind: Pick<ServedKind, 'group' | 'version' | 'plural'>; objects: KubeObject[]; failure?: string }

export function namespaces({ client, informers, clock, log }: Deps): Reconciler {
  const all = informers.of(Namespace)
  const ages = new Ages(clock)

  async function empty(kind: ServedKind, namespace: string, signal: AbortSignal): Promise<Remains> {
    try {
      const { items } = await client.list(kind, { namespace, metadataOnly: true, signal })
      if (!items.length) return { kind, objects: [] }
      const doomed = items.filter(({ metadata }) => !metadata.deletionTimestamp)
      const failures: unknown[] = []
      await each(doomed, deletionsAtOnce, async (object) => {
        try {
          const preconditions = object.metadata.uid ? { preconditions: { uid: object.metadata.uid } } : {}
          await client.delete(kind, refOf(object), { propagationPolicy: 'Background', ...preconditions, signal })
        } catch (error) {
          if (!isStatus(error, 'NotFound', 'Conflict')) failures.push(error)
        }
      })
      if (failures.length > 0) return { kind, objects: items, failure: messageOf(failures[0]) }
      // A second look: most things are gone at once.
      const left = doomed.length ? (await client.list(kind, { namespace, metadataOnly: true, signal })).items : items
      return { kind, objects: left }
    } catch (error) {
      if (signal.aborted) throw error
      return { kind, objects: [], failure: messageOf(error) }
    }
  }

  return {
    name: 'namespace',
    watches: [of(Namespace)],
    workers: 2,
    async reconcile(key, signal) {
      const namespace = all.get(key)
      if (!namespace?.metadata.deletionTimestamp || !namespace.spec?.finalizers?.includes(finalizer)) return done
      const unreachable: string[] = []
      const kinds = (await client.kinds({ signal, unreachable: (groupVersion) => unreachable.push(groupVersion) })).filter(
        ({ namespaced, verbs }) => namespaced && verbs.includes('delete') && verbs.includes('list'),
      )
      const left: Remains[] = []
      await each(kinds, kindsAtOnce, async (kind) => {
        const remains = await empty(kind, namespace.metadata.name, signal)
        if (remains.objects.length > 0 || remains.failure) left.push(remains)
      })

      const conditions = planConditions(namespace, left, clock.now(), unreachable)
      let current = namespace
      if (canonical(conditions) !== canonical(namespace.status?.conditions ?? [])) {
        current = await client.update(
          Namespace,
          { ...namespace, status: { ...namespace.status, phase: 'Terminating', conditions } },
          { subresource: 'status', signal },
        )
      }
      if (left.length || unreachable.length) {
        log.debug(
          { namespace: key, left: left.map(({ kind, objects }) => `${objects.length} ${kind.plural}`), unreachable },
          'namespace not empty yet',
        )
        const elapsed = ages.of(namespace.metadata.uid, namespace.metadata.deletionTimestamp)
        return after(Math.min(Math.max(elapsed * lookAgain.share, lookAgain.first), lookAgain.longest))
      }
      const finalizers = current.spec.finalizers?.filter((name) => name !== finalizer) ?? []
      await client.update(Namespace, { ...current, spec: { ...current.spec, finalizers } }, { subresource: 'finalize', signal })
      return done
    },
  }
}

/** Runs `work` for every item, for no more than `atOnce` of them at a time; gives way to others between. */
async function each<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  const breathe = breather()
  const worker = async () => {
    for (const item of queue) {
      await breathe()
      await work(item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
}

/** The five conditions of a terminating namespace, in Kubernetes' words. `unreachable`: groups and versions of which nobody knows what they hold. */
export function planConditions(
  namespace: Namespace,
  left: readonly Remains[],
  now: number,
  unreachable: readonly string[] = [],
): NamespaceCondition[] {
  const known = new Map((namespace.status?.conditions ?? []).map((condition) => [condition.type, condition]))
  const condition = (
    type: NamespaceCondition['type'],
    bad: boolean,
    [badReason, badMessage]: [string, string],
    [goodReason, goodMessage]: [string, string],
  ): NamespaceCondition => {
    const status = bad ? 'True' : 'False'
    const [reason, message] = bad ? [badReason, badMessage] : [goodReason, goodMessage]
    const before = known.get(type)
    const lastTransitionTime = before?.status === status ? before.lastTransitionTime : timestamp(now)
    return { type, status, reason, message, ...(lastTransitionTime && { lastTransitionTime }) }
  }
  const failures = left.filter(({ failure }) => failure)
  const full = left.filter(({ objects }) => objects.length)
  const held = new Map<string, number>()
  for (const { objects } of left) {
    for (const { metadata } of objects) for (const name of metadata.finalizers ?? []) held.set(name, (held.get(name) ?? 0) + 1)
  }
  const contents = full
    .map(({ kind, objects }) => `${resourceOf(kind)} has ${objects.length} resource instances`)
    .sort()
    .join(', ')
  const finalizers = [...held]
    .map(([name, count]) => `${name} in ${count} resource instances`)
    .sort()
    .join(', ')
  const failed = failures.map(({ kind, failure }) => `${apiVersionOf(kind)}, Resource=${kind.plural}: ${failure}`).join('; ')
  const stale = unreachable.map((groupVersion) => `${groupVersion}: stale GroupVersion discovery: ${groupVersion}`).join(', ')
  return [
    condition(
      'NamespaceDeletionDiscoveryFailure',
      unreachable.length > 0,
      [
        'DiscoveryFailed',
        `Discovery failed for some groups, ${unreachable.length} failing: unable to retrieve the complete list of server APIs: ${stale}`,
      ],
      ['ResourcesDiscovered', 'All resources successfully discovered'],
    ),
    condition(
      'NamespaceDeletionGroupVersionParsingFailure',
      false,
      ['', ''],
      ['ParsedGroupVersions', 'All legacy kube types successfully parsed'],
    ),
    condition(
      'NamespaceDeletionContentFailure',
      failures.length > 0,
      ['ContentDeletionFailed', `Failed to delete all resource types, ${failures.length} remaining: ${failed}`],
      ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ),
    condition(
      'NamespaceContentRemaining',
      full.length > 0,
      ['SomeResourcesRemain', `Some resources are remaining: ${contents}`],
      ['ContentRemoved', 'All content successfully removed'],
    ),
    condition(
      'NamespaceFinalizersRemaining',
      held.size > 0,
      ['SomeFinalizersRemain', `Some content in the namespace has finalizers remaining: ${finalizers}`],
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ),
  ]
}

const resourceOf = ({ plural, group }: Remains['kind']): string => (group ? `${plural}.${group}` : `${plural}.`)
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
