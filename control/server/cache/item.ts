// One version of one object: the bytes that the store holds, and the object in them, decoded when it
// is first asked for and frozen. Bytes and object are shared by everybody who reads them.

import type { KubeObject } from '#api/kinds/kind.ts'
import { parseExact } from '#api/schema/exact.ts'
import type { Entry } from '../../store/store.ts'

const text = new TextDecoder()
/**
 * Objects by their bytes: a writer has both in hand, so that the watch cache need not decode again. Held
 * weakly: whoever works with the objects of a kind (informers do) keeps them, of all others the bytes do.
 */
const decoded = new WeakMap<Uint8Array, WeakRef<KubeObject>>()

export class Item {
  readonly key: string
  readonly revision: number
  readonly createRevision: number
  #bytes: Uint8Array | undefined
  /** What this one is another revision of; its own bytes are made when they are asked for. */
  readonly #of: Item | undefined

  constructor(entry: Omit<Entry, 'value'> & ({ value: Uint8Array } | { of: Item })) {
    this.key = entry.key
    this.revision = entry.modRevision
    this.createRevision = entry.createRevision
    if ('of' in entry) this.#of = entry.of
    else this.#bytes = entry.value
  }

  /** The same object as of another revision, e.g. of its deletion: of interest to few, who often need no bytes. */
  at(revision: number): Item {
    return new Item({ key: this.key, of: this, createRevision: this.createRevision, modRevision: revision })
  }

  get bytes(): Uint8Array {
    this.#bytes ??= encode((this.#of as Item).object, this.revision)
    return this.#bytes
  }

  /** Of the bytes, or near it. */
  get size(): number {
    return this.#bytes?.length ?? (this.#of as Item).size
  }

  get object(): KubeObject {
    if (!this.#bytes) return stamped((this.#of as Item).object, this.revision)
    const known = decoded.get(this.bytes)?.deref()
    if (known) return known
    const object = guard(parseExact(text.decode(this.bytes)) as KubeObject, this.bytes)
    decoded.set(this.bytes, new WeakRef(object))
    return object
  }

  /** The object for one reading: what nobody else had decoded is not kept. */
  read(): KubeObject {
    if (!this.#bytes) return stamped((this.#of as Item).read(), this.revision)
    return decoded.get(this.bytes)?.deref() ?? (parseExact(text.decode(this.bytes)) as KubeObject)
  }

  /** Of the object, for who needs no more: read from the bytes each time, and not kept. */
  get metadata(): KubeObject['metadata'] {
    return this.read().metadata
  }

  /** A copy that may be changed. */
  copy(): KubeObject {
    return clone(this.object)
  }
}

/** The bytes of `object` as of `revision`, in Kubernetes' order of keys; `check` throws where they are too many. */
export function encode(object: KubeObject, revision: number, check?: (bytes: number) => void): Uint8Array {
  const written = stamped(object, revision)
  const bytes = alone(JSON.stringify(written))
  check?.(bytes.length)
  decoded.set(bytes, new WeakRef(guard(written, bytes)))
  return bytes
}

function stamped(object: KubeObject, revision: number): KubeObject {
  const { kind, apiVersion, metadata, ...rest } = object
  return { kind, apiVersion, metadata: { ...metadata, resourceVersion: String(revision) }, ...rest }
}

/**
 * For bytes that stay: in memory of their own. Node cuts small buffers out of shared slabs of 64 KiB, and one object
 * that stays holds all of its slab, with what else passed through at that time.
 */
export function alone(text: string): Buffer {
  const bytes = Buffer.allocUnsafeSlow(Buffer.byteLength(text))
  bytes.write(text)
  return bytes
}

/** In bytes. To freeze is a guard against our own mistakes; maps of many members take longer to freeze than to read and write. */
const mostFrozen = 256 * 1024
const guard = (object: KubeObject, { length }: Uint8Array): KubeObject => (length <= mostFrozen ? deepFreeze(object) : object)

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const inner of Object.values(value)) if (typeof inner === 'object') deepFreeze(inner)
  return value
}

/** A deep copy of a JSON value; several times faster than structuredClone. */
export function clone<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(clone) as T
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key]
    // As own data: `__proto__` is a key like any other.
    if (key === '__proto__') Object.defineProperty(copy, key, { value: clone(inner), enumerable: true, configurable: true, writable: true })
    else copy[key] = clone(inner)
  }
  return copy as T
}
