// Work that several callers may ask for at once: done once, and given up only when the last of them has.

export class Shared<T> {
  #running = new Map<string, Job<T>>()

  /** Joins the work under `key`, or starts it. A caller whose signal aborts leaves; the work's own signal aborts with the last one. */
  async run(key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    let job = this.#running.get(key)
    if (!job || job.abort.signal.aborted) {
      const abort = new AbortController()
      const started: Job<T> = { promise: work(abort.signal), abort, callers: 0 }
      void this.#forget(key, started)
      this.#running.set(key, started)
      job = started
    }
    job.callers++
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const leave = () => reject(signal?.reason)
    signal?.addEventListener('abort', leave, { once: true })
    job.promise.then(resolve, reject)
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', leave)
      // The last one out waits for what it stops, so that nothing writes behind its back.
      if (--job.callers === 0 && signal?.aborted) {
        job.abort.abort(signal.reason)
        await job.promise.catch(() => {})
      }
    }
  }

  async #forget(key: string, job: Job<T>): Promise<void> {
    await Promise.allSettled([job.promise])
    if (this.#running.get(key) === job) this.#running.delete(key)
  }
}

type Job<T> = { promise: Promise<T>; abort: AbortController; callers: number }

/** Lets `places` pieces of work run at a time, in the order they come. */
export class Gate {
  #free: number
  #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#free = places
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#free++
    }
  }
}
