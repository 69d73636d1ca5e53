// The thread in which expressions of users run: whoever takes too long is ended with it. One job at a
// time; the schemas that jobs are about are sent once.

import { parentPort } from 'node:worker_threads'
import { openPatterns } from '#api/schema/crd/pattern.ts'
import { type Done, type Job, mostSchemas } from './job.ts'
import { RuleSet } from './rules.ts'

const port = parentPort
if (port) {
  const patterns = await openPatterns()
  const sets = new Map<number, RuleSet>()
  const setOf = ({ number, schema }: Job): RuleSet => {
    const known = sets.get(number)
    if (known) return known
    if (!schema) throw new Error(`schema ${number} is unknown`)
    const made = new RuleSet(schema, { patterns })
    if (sets.size >= mostSchemas) sets.delete(sets.keys().next().value as number)
    sets.set(number, made)
    return made
  }
  port.on('message', (job: Job) => {
    let done: Done
    try {
      const set = setOf(job)
      done = { result: job.do === 'check' ? set.check() : set.evaluate(job.value, job.previous) }
    } catch (error) {
      done = { error: error instanceof Error ? error.message : String(error) }
    }
    port.postMessage(done)
  })
  port.postMessage('ready')
}
