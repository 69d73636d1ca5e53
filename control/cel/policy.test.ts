import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import type { JsonSchema } from '#api/schema/crd/json-schema.ts'
import { openPatterns, type Patterns } from '#api/schema/crd/pattern.ts'
import type { Expressions, Inputs, Round } from './expressions.ts'
import { Policy } from './policy.ts'

type Source = { conditions?: string[]; variables?: Record<string, string>; validations?: string[]; messages?: string[]; notes?: string[] }

const expressions = ({ conditions = [], variables = {}, validations = [], messages = [], notes = [] }: Source): Expressions => ({
  matchConditions: conditions.map((expression, i) => ({ name: `c${i}`, expression })),
  policy: {
    variables: Object.entries(variables).map(([name, expression]) => ({ name, expression })),
    validations: validations.map((expression, i) => ({ expression, ...(messages[i] && { messageExpression: messages[i] }) })),
    auditAnnotations: notes.map((valueExpression, i) => ({ key: `n${i}`, valueExpression })),
    hasParams: true,
  },
})
const inputs: Inputs = {
  object: { metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } }, spec: { replicas: 5, ratio: 0.5, list: [1, 2] } },
  oldObject: null,
  request: {
    operation: 'CREATE',
    name: 'web',
    namespace: 'shop',
    resource: { group: 'apps', version: 'v1', resource: 'deployments' },
    requestResource: { group: 'apps', version: 'v1', resource: 'deployments' },
    userInfo: { username: 'ann', groups: ['dev'], extra: { team: ['a'] } },
    dryRun: false,
  },
  namespaceObject: { metadata: { name: 'shop', labels: { tier: 'gold' } } },
  params: [{ spec: { most: 3 } }],
  answers: new Map(),
}

describe('the expressions of a policy', () => {
  let patterns: Patterns
  before(async () => {
    patterns = await openPatterns()
  })
  const policy = (source: Source) => new Policy(expressions(source), { patterns })
  const round = (source: Source, more: Partial<Inputs> = {}): Round => {
    const outcome = policy(source).decide({ ...inputs, ...more })
    assert.ok(!outcome.open)
    return outcome.rounds[0] as Round
  }
  const judged = (source: Source, more: Partial<Inputs> = {}) => {
    const result = round(source, more)
    assert.ok(result.matches && result.error === undefined)
    return result
  }

  const truths = `
object.spec.replicas == 5 && oldObject == null
object.metadata.namespace == "shop" && request.namespace == "shop" && request.operation == "CREATE"
request.userInfo.username == "ann" && "dev" in request.userInfo.groups && request.userInfo.extra["team"] == ["a"]
!has(request.subResource) && request.resource.resource == "deployments" && !request.dryRun
namespaceObject.metadata.labels["tier"] == "gold"
object.spec.replicas > params.spec.most
object.spec.ratio < 1.0 && object.spec.list.sum() == 3
object.metadata.labels.all(key, key.startsWith("a"))
variables.twice == 10 && variables.big
`
  for (const source of truths.trim().split('\n')) {
    it(source, () => {
      const variables = { twice: 'object.spec.replicas * 2', big: 'variables.twice > 9' }
      assert.deepEqual(policy({ variables, validations: [source] }).check(), [])
      assert.deepEqual(judged({ variables, validations: [source] }).validations, [{ valid: true }])
    })
  }

  it('say what is wrong, in the best words that they have', () => {
    const messages = ['"at most " + string(params.spec.most)', 'object.nope', '"two\\nlines"', '"  "']
    const validations = ['false', 'object.spec.replicas < 5', '1 > 2', '1 > 3']
    assert.deepEqual(
      judged({ validations, messages }).validations.map((v) => !v.valid && v.message),
      ['at most 3', 'failed expression: object.spec.replicas < 5', 'failed expression: 1 > 2', 'failed expression: 1 > 3'],
    )
    const [failed] = judged({ validations: ['object.spec.nope > 1'] }).validations
    assert.deepEqual(failed, {
      valid: false,
      isError: true,
      message: "expression 'object.spec.nope > 1' resulted in error: no such key: nope",
    })
  })

  it('are not asked where a condition says No, whatever the others say', () => {
    assert.deepEqual(round({ conditions: ['object.nope', 'false'], validations: ['false'] }), { matches: false })
    assert.deepEqual(round({ conditions: ['true', 'object.nope'] }), {
      matches: true,
      error: "expression 'object.nope' resulted in error: no such key: nope",
    })
  })

  it('leave a variable alone that nobody needs, and tell which one fails', () => {
    const variables = { broken: 'object.nope', other: 'variables.broken + 1' }
    const [left, used] = judged({ variables, validations: ['true || variables.broken', 'variables.other == 1'] }).validations
    assert.deepEqual(left, { valid: true })
    assert.ok(used && !used.valid)
    assert.match(
      used.message,
      /composited variable "other" fails to evaluate: composited variable "broken" fails to evaluate: no such key: nope/,
    )
  })

  it('note what they have to say', () => {
    assert.deepEqual(judged({ notes: ['"x" + object.metadata.name', 'null', '" "', 'object.nope'] }).annotations, [
      { key: 'n0', value: 'xweb' },
      { key: 'n3', error: "expression 'object.nope' resulted in error: no such key: nope" },
    ])
    const [long] = judged({ notes: ['object.text'] }, { object: { text: 'x'.repeat(20_000) } }).annotations
    assert.ok(long && 'value' in long && long.value === 'x'.repeat(10 * 1024), 'in part where it is long')
  })

  it('ask who may do what, and go on with the answer', () => {
    const source = expressions({
      validations: [
        'authorizer.group("apps").resource("deployments").subresource("scale").namespace("a").name("b").check("update").allowed()',
        'authorizer.path("/healthz").check("get").reason() == "why"',
        'authorizer.requestResource.check("delete").allowed()',
        'authorizer.serviceAccount("ns", "sa").group("").resource("pods").check("list").allowed()',
      ],
    })
    const subject = new Policy(source, { patterns })
    const { open } = subject.decide(inputs)
    assert.ok(open)
    const asked = [...open.values()]
    const what = { group: 'apps', resource: 'deployments', subresource: '', namespace: 'shop', name: 'web' }
    assert.deepEqual(asked, [
      { verb: 'update', ...what, subresource: 'scale', namespace: 'a', name: 'b' },
      { verb: 'get', path: '/healthz' },
      { verb: 'delete', ...what },
      { account: { namespace: 'ns', name: 'sa' }, verb: 'list', group: '', resource: 'pods', subresource: '', namespace: '', name: '' },
    ])
    const answers = new Map([...open.keys()].map((key, i) => [key, { allowed: i !== 2, reason: 'why' }]))
    const outcome = subject.decide({ ...inputs, answers })
    assert.ok(!outcome.open)
    const [result] = outcome.rounds
    assert.ok(result?.matches && result.error === undefined)
    assert.deepEqual(
      result.validations.map((v) => v.valid),
      [true, true, false, true],
    )
  })

  const faults: [Source, field: string, message: string][] = [
    [{ validations: ['1'] }, 'validations[0].expression', 'must evaluate to bool'],
    [{ validations: ['foo'] }, 'validations[0].expression', "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')"],
    [{ validations: ['variables.x'] }, 'validations[0].expression', "ERROR: <input>:1:11: undefined field 'x'"],
    [{ validations: ['request.verb == "x"'] }, 'validations[0].expression', "ERROR: <input>:1:9: undefined field 'verb'"],
    [{ validations: ['true'], messages: ['1'] }, 'validations[0].messageExpression', 'must evaluate to string'],
    [{ notes: ['1'] }, 'auditAnnotations[0].valueExpression', 'must evaluate to one of [string null]'],
    [{ variables: { a: 'variables.b', b: '1' } }, 'variables[0].expression', "ERROR: <input>:1:11: undefined field 'b'"],
    [
      { conditions: ['variables.a'] },
      'matchConditions[0].expression',
      "ERROR: <input>:1:1: undeclared reference to 'variables' (in container '')",
    ],
  ]
  for (const [source, field, message] of faults) {
    it(`may not be ${JSON.stringify(source)}`, () => {
      const [fault, ...rest] = policy(source).check()
      assert.deepEqual([fault?.field, fault?.message, rest.length], [field, message, 0])
    })
  }

  it('are judged by the schema of their objects', () => {
    const about: JsonSchema = {
      type: 'object',
      properties: {
        metadata: { type: 'object', properties: { name: { type: 'string' } } },
        spec: { type: 'object', properties: { replicas: { type: 'integer' }, namespace: { type: 'string' } } },
      },
    }
    const check = (source: string) =>
      policy({ validations: [source] })
        .check(about)
        .map(({ message }) => message)
    assert.deepEqual(check('object == null || object.spec.replicas > 1 && object.spec.namespace != "" && object.metadata.name != ""'), [])
    assert.deepEqual(check('object.spec.replicsa > 1'), ["ERROR: <input>:1:13: undefined field 'replicsa'"])
    assert.deepEqual(check('object.spec.replicas == "x"'), ['ERROR: <input>:1:1: no such overload: int == string'])
  })
})
