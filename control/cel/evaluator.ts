// Expressions of users, judged in a thread of their own. The thread starts with the first job, ends when
// there has been none for a while, and is ended when a job takes too long: what it runs can cost no more
// than its deadline.

import { Worker } from 'node:worker_threads'
import type { Clock, Timer } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import type { ExpressionFault, Expressions, Inputs, Outcome } from './expressions.ts'
import { type Done, type Job, mostSubjects, type Subject } from './job.ts'
import type { RuleFault, Violation } from './rules.ts'

export type EvaluatorDeps = { clock: Clock; log: Log; deadlineMs?: number }

/** The evaluation was ended: it costs more than anybody may ask for. */
export class TooCostly extends Error {
  constructor() {
    super('the expressions took too long')
    this.name = 'TooCostly'
  }
}

type Work = Job extends infer J ? (J extends Job ? (J extends { do: 'learn' | 'compile' } ? never : Omit<J, 'number'>) : never) : never
type Pending = { subject: Subject; work: Work; resolve: (result: unknown) => void; reject: (error: Error) => void }
type Thread = { worker: Worker; ready: Promise<unknown>; known: Map<number, { compiled: boolean }> }

const deadlineMs = 1000
const idleMs = 30_000
/** Bounds what an expression can make of a value. */
const resourceLimits = { maxOldGenerationSizeMb: 96, maxYoungGenerationSizeMb: 8, stackSizeMb: 4 }

export class Evaluator {
  readonly #clock: Clock
  readonly #log: Log
  readonly #deadlineMs: number
  /** By the schema or the expressions that a subject holds. */
  readonly #numbers = new WeakMap<object, number>()
  readonly #queue: Pending[] = []
  #next = 1
  #thread: Thread | undefined
  #idle: Timer | undefined
  #busy = false
  #closed = false

  constructor({ clock, log, deadlineMs: given = deadlineMs }: EvaluatorDeps) {
    this.#clock = clock
    this.#log = log
    this.#deadlineMs = given
  }

  /** Whether a thread is there now. */
  get isRunning(): boolean {
    return this.#thread !== undefined
  }

  /** What is wrong with the rules of a schema. However long that takes: what a schema may cost is estimated, not timed. */
  check(schema: JsonSchema): Promise<RuleFault[]> {
    return this.#ask({ schema }, { do: 'check' }) as Promise<RuleFault[]>
  }

  /** Which rules an object breaks. Throws TooCostly. */
  evaluate(schema: JsonSchema, value: unknown, previous?: unknown): Promise<Violation[]> {
    return this.#ask({ schema }, { do: 'evaluate', value, previous }) as Promise<Violation[]>
  }

  /** What is wrong with the expressions of a policy or webhook; `about`: the schema of its objects. However long that takes. */
  checkExpressions(expressions: Expressions, about?: JsonSchema): Promise<ExpressionFault[]> {
    return this.#ask({ expressions }, { do: 'check', about }) as Promise<ExpressionFault[]>
  }

  /** What expressions say of a request. Throws TooCostly. */
  decide(expressions: Expressions, inputs: Inputs): Promise<Outcome> {
    return this.#ask({ expressions }, { do: 'decide', inputs }) as Promise<Outcome>
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#idle?.cancel()
    for (const { reject } of this.#queue.splice(0)) reject(new Error('the evaluator is closed'))
    await this.#end()
  }

  #ask(subject: Subject, work: Work): Promise<unknown> {
    if (this.#closed) return Promise.reject(new Error('the evaluator is closed'))
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#queue.push({ subject, work, resolve, reject })
    if (!this.#busy) void this.#run()
    return promise
  }

  async #run(): Promise<void> {
    this.#busy = true
    this.#idle?.cancel()
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      try {
        next.resolve(await this.#job(next))
      } catch (error) {
        next.reject(error as Error)
      }
    }
    this.#busy = false
    if (!this.#closed) this.#idle = this.#clock.after(idleMs, () => void this.#end())
  }

  async #job({ subject, work }: Pending): Promise<unknown> {
    const thread = (this.#thread ??= this.#start())
    await thread.ready
    const number = this.#numberOf('schema' in subject ? subject.schema : subject.expressions)
    const known = thread.known.get(number) ?? { compiled: false }
    if (!thread.known.has(number)) {
      if (thread.known.size >= mostSubjects) thread.known.delete(thread.known.keys().next().value as number)
      thread.known.set(number, known)
      await this.#tell(thread, { number, do: 'learn', subject })
    }
    if (work.do === 'check') return await this.#tell(thread, { number, ...work })
    if (!known.compiled) await this.#tell(thread, { number, do: 'compile' })
    known.compiled = true
    return await this.#tell(thread, { number, ...work }, this.#deadlineMs)
  }

  /** Throws TooCostly after `deadlineMs`; only what runs expressions has one. */
  async #tell(thread: Thread, job: Job, deadlineMs?: number): Promise<unknown> {
    const late = Promise.withResolvers<never>()
    const timer = deadlineMs === undefined ? undefined : this.#clock.after(deadlineMs, () => late.reject(new TooCostly()))
    thread.worker.ref()
    try {
      const answer = answerOf(thread.worker)
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      thread.worker.postMessage(job)
      const done = await Promise.race([answer, late.promise])
      if ('error' in done) throw new Error(done.error)
      return done.result
    } catch (error) {
      // The thread hangs: the next job gets another.
      if (error instanceof TooCostly) await this.#end()
      throw error
    } finally {
      timer?.cancel()
      thread.worker.unref()
    }
  }

  #numberOf(held: object): number {
    const known = this.#numbers.get(held)
    if (known) return known
    this.#numbers.set(held, this.#next)
    return this.#next++
  }

  #start(): Thread {
    this.#log.debug({}, 'starting a thread for expressions')
    const worker = new Worker(new URL('worker.ts', import.meta.url), { resourceLimits })
    const lost = () => {
      if (this.#thread?.worker === worker) this.#thread = undefined
    }
    worker.on('exit', lost)
    worker.on('error', (error) => {
      this.#log.warn({ err: error }, 'the thread for expressions failed')
      lost()
    })
    return { worker, ready: answerOf(worker), known: new Map() }
  }

  async #end(): Promise<void> {
    const thread = this.#thread
    this.#thread = undefined
    await thread?.worker.terminate()
  }
}

/** The next message. Throws when the thread ends before. */
function answerOf(worker: Worker): Promise<Done> {
  return new Promise((resolve, reject) => {
    const end = () => {
      worker.off('message', answered)
      worker.off('error', failed)
      worker.off('exit', gone)
    }
    const answered = (message: Done) => {
      end()
      resolve(message)
    }
    const failed = (error: unknown) => {
      end()
      reject(error instanceof Error ? error : new Error(String(error)))
    }
    const gone = () => failed(new Error('the thread for expressions ended'))
    worker.once('message', answered)
    worker.once('error', failed)
    worker.once('exit', gone)
  })
}
