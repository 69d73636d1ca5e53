// The informers' memory on the record. The pods of this node have a file each, since their states change one
// by one; of every other selection all objects are in one.

import type { Clock } from '#api/clock.ts'
import type { Memory, Select, Shelf } from '#api/informer/memory.ts'
import { apiVersionOf, type Kind, type KubeObject, keyOf } from '#api/kinds/kind.ts'
import { lasting, withoutVersion } from './lasting.ts'
import type { AgentRecord } from './record.ts'

export type AgentMemory = Memory & {
  /** Lets go of every selection that nobody has asked for since the start. */
  prune(): void
  /** Lets go of all. Nobody may follow anything any more. */
  clear(): void
}

/** What the server has to answer first, from the start of the agent and, once it has answered, each time. */
const PATIENCE_MS = 1_000
const PREFIX = 'objects '

export function memoryOf({ record, clock }: { record: AgentRecord; clock: Clock }): AgentMemory {
  const openedAt = clock.monotonic()
  const opened = new Set<string>()
  let reached = false
  const patience = () => (reached ? PATIENCE_MS : Math.max(openedAt + PATIENCE_MS - clock.monotonic(), 0))

  /** All of it in one file. */
  function whole<T extends KubeObject>(name: string): Shelf<T> {
    let all: (() => Iterable<T>) | undefined
    const keep = () =>
      record.set(
        name,
        () => [...all!()].map(lasting),
        (objects) => (objects as T[]).map(withoutVersion).sort(byKey),
      )
    return {
      patience,
      recall: () => record.take(name) as T[] | undefined,
      listed(objects) {
        reached = true
        all = objects
        keep()
      },
      changed() {
        if (all) keep()
      },
    }
  }

  /** A file for each object, and one (`name`) that says that there are no others. */
  function each<T extends KubeObject>(name: string): Shelf<T> {
    const nameOf = (key: string) => `${name} ${key}`
    const isOne = (other: string) => other.startsWith(`${name} `)
    let listed = false
    const keep = (key: string, object: T | undefined) =>
      record.set(nameOf(key), object && (() => lasting(object)), (value) => withoutVersion(value as T))
    return {
      patience,
      recall() {
        const objects = record
          .names()
          .filter(isOne)
          .map((one) => record.take(one) as T | undefined)
        return record.take(name) === undefined ? undefined : objects.filter((object) => object !== undefined)
      },
      listed(objects) {
        reached = true
        listed = true
        const now = new Map([...objects()].map((object) => [keyOf(object.metadata), object]))
        const known = new Set([...now.keys()].map(nameOf))
        for (const one of record.names()) if (isOne(one) && !known.has(one)) record.set(one, undefined)
        for (const [key, object] of now) keep(key, object)
        record.set(name, () => true)
      },
      changed(key, object) {
        if (listed) keep(key, object)
      },
    }
  }

  const forget = (unwanted: (shelf: string) => boolean) => {
    for (const name of record.names()) {
      if (!name.startsWith(PREFIX) || !unwanted(name.slice(0, name.indexOf('}') + 1))) continue
      record.take(name)
      record.set(name, undefined)
    }
  }

  return {
    shelf<T extends KubeObject>(kind: Kind<T>, select: Select) {
      const name = nameOfShelf(kind, select)
      opened.add(name)
      return select.fieldSelector?.startsWith('spec.nodeName=') ? each<T>(name) : whole<T>(name)
    },
    prune: () => forget((shelf) => !opened.has(shelf)),
    clear: () => forget(() => true),
  }
}

/** Ends in the only brace: what follows is an object's key. */
const nameOfShelf = (kind: Kind, { namespace = '', labelSelector = '', fieldSelector = '' }: Select): string =>
  `${PREFIX}{${[apiVersionOf(kind), kind.kind, namespace, labelSelector, fieldSelector].join(' ')}}`

const byKey = (a: KubeObject, b: KubeObject): number => (keyOf(a.metadata) < keyOf(b.metadata) ? -1 : 1)
