import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { systemClock } from '#api/clock.ts'
import { configMap } from '#api/kinds/config-map.ts'
import { ConfigMap } from '#api/kinds/index.ts'
import { silent } from '#api/log.ts'
import type { Attempt } from '#control/auth/authorizer.ts'
import { Evaluator } from '#control/cel/evaluator.ts'
import type { Review } from './admission.ts'
import { type Decide, decider } from './decide.ts'
import type { ServedVersion } from './served-version.ts'

let evaluator: Evaluator
let decide: Decide
const attempts: Attempt[] = []
before(() => {
  evaluator = new Evaluator({ clock: systemClock, log: silent, deadlineMs: 200 })
  decide = decider({
    evaluator,
    authorizers: [(attempt) => (attempts.push(attempt) && attempt.verb === 'get' ? 'because' : undefined)],
  })
})
after(() => evaluator.close())

const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'n' } } as Review['object']
const review: Review = {
  operation: 'CREATE',
  kind: ConfigMap,
  spec: configMap,
  subresource: '',
  namespace: 'n',
  name: 'a',
  object,
  previous: undefined,
  user: { name: 'ann', groups: [] },
  dryRun: false,
  options: {},
  warn() {},
  annotate() {},
  onFailure() {},
}
const served: ServedVersion = { kind: ConfigMap, show: async () => ({}), keep: async () => object }
const about = { served, shown: { object: { l: 'x'.repeat(3000) }, previous: undefined } }
const condition = (expression: string) => ({ matchConditions: [{ name: 'c', expression }] })

it('questions about rights are answered, and what depends on them', async () => {
  const check = (verb: string) => `authorizer.group("g").resource("r").check("${verb}")`
  assert.deepEqual(await decide(condition(`${check('get')}.reason() == "because" && !${check('put')}.allowed()`), review, about), [
    { matches: true, validations: [], annotations: [] },
  ])
  const account = 'authorizer.serviceAccount("n", "s").path("/x").check("get").allowed()'
  assert.equal((await decide(condition(account), review, about)).length, 1)
  assert.deepEqual(
    attempts.map(({ verb, user, path }) => [verb, user.name, path]),
    [
      ['get', 'ann', undefined],
      ['put', 'ann', undefined],
      ['get', 'system:serviceaccount:n:s', '/x'],
    ],
  )
})

it('what takes too long has no result, and the next has one', async () => {
  const endless = 'object.l.split("").all(a, object.l.split("").all(b, object.l.split("").all(c, a == b)))'
  await assert.rejects(decide(condition(endless), review, about), {
    message: 'validation failed due to running out of cost budget, no further validation rules will be run',
  })
  assert.deepEqual(await decide(condition('object.l == ""'), review, about), [{ matches: false }])
})

it('a chain of questions has an end', async () => {
  const next = Array.from({ length: 20 }, (_, i) => `authorizer.path("/${i}").check("get").allowed()`).join(' && ')
  await assert.rejects(decide(condition(next), review, about), { message: 'the expressions ask for too many rights, one after the other' })
})
