import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import { Evaluator, TooCostly } from './evaluator.ts'

const positive: JsonSchema = { type: 'object', properties: { n: { type: 'integer', 'x-kubernetes-validations': [{ rule: 'self > 0' }] } } }
/** Takes about for ever. */
const endless: JsonSchema = {
  type: 'object',
  properties: { l: { type: 'array', items: { type: 'integer' } } },
  'x-kubernetes-validations': [{ rule: 'self.l.all(a, self.l.all(b, self.l.all(c, self.l.all(d, a + b + c + d >= 0))))' }],
}
const thousand = { l: Array.from({ length: 1000 }, (_, i) => i) }

describe('the evaluator', () => {
  let evaluator: Evaluator
  beforeEach(() => {
    evaluator = new Evaluator({ clock: systemClock, log: silent, deadlineMs: 300 })
  })
  afterEach(() => evaluator.close())

  it('starts a thread with the first job, and sends a schema once', async () => {
    assert.equal(evaluator.isRunning, false)
    assert.deepEqual(await evaluator.check(positive), [])
    assert.equal(evaluator.isRunning, true)
    assert.deepEqual(await evaluator.evaluate(positive, { n: 1 }), [])
    assert.equal((await evaluator.evaluate(positive, { n: -1 })).length, 1)
  })

  it('knows more schemas than the thread remembers', async () => {
    const schemas = Array.from({ length: 70 }, () => structuredClone(positive))
    for (const _ of [1, 2]) for (const schema of schemas) assert.equal((await evaluator.evaluate(schema, { n: -1 })).length, 1)
  })

  it('ends what takes too long, and goes on', async () => {
    const late = assert.rejects(evaluator.evaluate(endless, thousand), TooCostly)
    const next = evaluator.evaluate(positive, { n: -1 })
    await late
    assert.equal((await next).length, 1)
  })

  it('ends what makes too much of what it is given, and goes on', async () => {
    const rule = `[self.l].map(x, ${'x + '.repeat(200)}x).size() > 0`
    const huge = {
      ...endless,
      'x-kubernetes-validations': [{ rule: `self.l.map(a, self.l.map(b, ${'self.l + '.repeat(50)}self.l)).size() > 0` }, { rule }],
    }
    await assert.rejects(evaluator.evaluate(huge, thousand))
    assert.deepEqual(await evaluator.evaluate(positive, { n: 1 }), [])
  })

  it('refuses when it is closed', async () => {
    const waiting = [evaluator.evaluate(endless, thousand), evaluator.evaluate(positive, { n: 1 })].map((job) => assert.rejects(job))
    await evaluator.close()
    await Promise.all(waiting)
    await assert.rejects(evaluator.check(positive), /closed/)
  })
})

it('the evaluator lets an idle thread go', async () => {
  const clock = fakeClock()
  const evaluator = new Evaluator({ clock, log: silent })
  await evaluator.check(positive)
  assert.equal(evaluator.isRunning, true)
  await clock.advance(60_000)
  assert.equal(evaluator.isRunning, false)
  assert.deepEqual(await evaluator.check(positive), [])
  await evaluator.close()
})

it('the evaluator checks and compiles for as long as that takes, and no run counts it', async () => {
  // Time stands still but for each timer, which ends at once: whatever has a deadline is late.
  const clock = { ...fakeClock(), after: (_: number, run: () => void) => (run(), { cancel: () => undefined }) }
  const evaluator = new Evaluator({ clock, log: silent })
  assert.deepEqual(await evaluator.check(positive), [])
  await assert.rejects(evaluator.evaluate(positive, { n: 1 }), TooCostly)
  await evaluator.close()
})
