// Tells who holds the event loop: a timer that comes late while the thread worked says for how long, and what began
// since the last look says whose turn it most likely was. Costs a timer, and a short list of requests.

import type { Log } from '#api/log.ts'

export type LoopWatchDeps = {
  /** Milliseconds that only grow. */
  now(): number
  /** Milliseconds of processor time that this thread has had. */
  worked(): number
  log: Log
  /** Of every turn that was too long. */
  observe(seconds: number): void
}

/** Between two looks, in milliseconds; a turn is seen if it is longer than this and the tolerance. */
const lookEveryMs = 100
/** What a turn may take, in milliseconds. */
const longMs = 200
const mostNamed = 8

export class LoopWatch {
  readonly #deps: LoopWatchDeps
  #last: number
  #worked: number
  #timer: NodeJS.Timeout | undefined
  /** What was begun since the last look, the first few. */
  #begun: string[] = []

  constructor(deps: LoopWatchDeps) {
    this.#deps = deps
    this.#last = deps.now()
    this.#worked = deps.worked()
  }

  start(): void {
    this.#last = this.#deps.now()
    this.#worked = this.#deps.worked()
    // What may keep the process alive is not this.
    this.#timer = setInterval(() => this.look(), lookEveryMs).unref()
  }

  /** `what`: a request with its method, path and user agent, or a part of the server. */
  began(what: () => string): void {
    if (this.#begun.length < mostNamed) this.#begun.push(what())
  }

  /** Called by the timer. */
  look(): void {
    const now = this.#deps.now()
    const worked = this.#deps.worked()
    // Late because other processes had the processor: nobody here held anything.
    const held = Math.min(now - this.#last - lookEveryMs, worked - this.#worked)
    this.#last = now
    this.#worked = worked
    if (held > longMs) {
      this.#deps.observe(held / 1000)
      this.#deps.log.warn({ ms: Math.round(held), begun: this.#begun }, 'the event loop was held')
    }
    this.#begun = []
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
