// A store whose answers come in a later turn of the event loop, as those of one on another machine do: for
// tests that whoever stands on a store does not rely on more than it promises.

import type { Store } from './store.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export function lateStore(store: Store): Store {
  const late = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer
    } finally {
      await turn()
    }
  }
  return {
    get trouble() {
      return store.trouble
    },
    revision: () => late(store.revision()),
    get: (key) => late(store.get(key)),
    latest: (key) => late(store.latest(key)),
    committed: (revision) => late(store.committed(revision)),
    list: (prefix, options) => late(store.list(prefix, options)),
    put: (key, value, options) => late(store.put(key, value, options)),
    delete: (key, options) => late(store.delete(key, options)),
    async *watch(prefix, options) {
      for await (const events of store.watch(prefix, options)) {
        await turn()
        yield events
      }
    },
    history: (prefix, options) => store.history(prefix, options),
    compact: (revision) => late(store.compact(revision)),
    close: () => late(store.close()),
  }
}
