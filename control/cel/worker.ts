// The thread in which expressions of users run: whoever takes too long is ended with it. One job at a
// time; what jobs are about is sent once.

import { parentPort } from 'node:worker_threads'
import { openPatterns } from '#api/schema/crd/pattern.ts'
import { type Done, type Job, mostSubjects, type Subject } from './job.ts'
import { Policy } from './policy.ts'
import { RuleSet } from './rules.ts'

const port = parentPort
if (port) {
  const patterns = await openPatterns()
  const known = new Map<number, RuleSet | Policy>()
  const made = (subject: Subject) =>
    'schema' in subject ? new RuleSet(subject.schema, { patterns }) : new Policy(subject.expressions, { patterns })
  const learn = (number: number, subject: Subject): void => {
    const judge = made(subject)
    if (known.size >= mostSubjects) known.delete(known.keys().next().value as number)
    known.set(number, judge)
  }
  const result = (job: Job): unknown => {
    if (job.do === 'learn') return learn(job.number, job.subject)
    const subject = known.get(job.number)
    if (!subject) throw new Error(`subject ${job.number} is unknown`)
    switch (job.do) {
      case 'compile':
        return subject.prepare()
      case 'evaluate':
        return (subject as RuleSet).evaluate(job.value, job.previous)
      case 'decide':
        return (subject as Policy).decide(job.inputs)
      default:
        return subject instanceof Policy ? subject.check(job.about) : subject.check()
    }
  }
  port.on('message', (job: Job) => {
    let done: Done
    try {
      done = { result: result(job) }
    } catch (error) {
      done = { error: error instanceof Error ? error.message : String(error) }
    }
    port.postMessage(done)
  })
  port.postMessage('ready')
}
