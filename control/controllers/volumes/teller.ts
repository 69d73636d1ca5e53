// Events about claims and volumes: the same thing is said of an object once, until something else is.

import type { EventRecorder } from '#api/events/recorder.ts'
import { type KubeObject, keyOf } from '#api/kinds/kind.ts'
import type { Told } from './claim.ts'

export class Teller {
  readonly #events: EventRecorder
  /** By key. */
  readonly #said = new Map<string, string>()

  constructor(events: EventRecorder) {
    this.#events = events
  }

  tell(object: KubeObject, { type, reason, message }: Told): void {
    const [key, text] = [keyOf(object.metadata), `${object.metadata.uid} ${reason} ${message}`]
    if (this.#said.get(key) === text) return
    this.#said.set(key, text)
    this.#events.event(object, type, reason, message)
  }

  forget(key: string): void {
    this.#said.delete(key)
  }
}
