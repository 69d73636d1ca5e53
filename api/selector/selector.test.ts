import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStatus } from '../errors.ts'
import { fieldMatcher } from './field.ts'
import { formatLabels, labelSelector, matchesLabels, parseLabels } from './label.ts'

const labels = { app: 'web', tier: 'a', 'x.io/y': '5', empty: '' }

const cases: [text: string, matches: boolean][] = [
  ['', true],
  ['app=web', true],
  ['app==web', true],
  ['app = web , tier=a', true],
  ['app!=web', false],
  ['missing!=web', true],
  ['tier in (a,b)', true],
  ['tier in ( b )', false],
  ['tier notin (a, b)', false],
  ['missing notin (a)', true],
  ['x.io/y', true],
  ['!x.io/y', false],
  ['!missing', true],
  ['x.io/y>4', true],
  ['x.io/y<5', false],
  ['app>4', false],
  ['empty=', true],
  ['app=,tier=a', false],
  ['empty in (,a)', true],
  ['toString', false],
  ['in in (a)', false],
]
for (const [text, matches] of cases) {
  test(`labels: ${text || 'nothing'} ${matches ? 'matches' : 'does not match'}`, () => {
    const selector = parseLabels(text)
    assert.equal(matchesLabels(selector, labels), matches)
    assert.equal(matchesLabels(parseLabels(formatLabels(selector)), labels), matches)
  })
}

test('labels: what does not parse', () => {
  for (const text of [
    '=a',
    'a=b=c',
    'a in',
    'a in b',
    'a in (b',
    'a b',
    ',',
    'a,',
    'a!',
    '-a=b',
    'a=-b',
    'a>b',
    'A_/b',
    'a in ()b',
    `a=${'b'.repeat(64)}`,
  ]) {
    assert.throws(
      () => parseLabels(text),
      (error) => isStatus(error, 'BadRequest') && error.message.startsWith('unable to parse requirement: '),
      text,
    )
  }
})

test('labels: selector objects', () => {
  assert.equal(matchesLabels(labelSelector(undefined), labels), false)
  assert.equal(matchesLabels(labelSelector({}), labels), true)
  assert.equal(matchesLabels(labelSelector({ matchLabels: { app: 'web' } }), labels), true)
  const one = (key: string, operator: string, values: string[] = []) =>
    matchesLabels(labelSelector({ matchExpressions: [{ key, operator: operator as 'In', values }] }), labels)
  assert.equal(one('tier', 'In', ['a']), true)
  assert.equal(one('tier', 'NotIn', ['a']), false)
  assert.equal(one('tier', 'Exists'), true)
  assert.equal(one('tier', 'DoesNotExist'), false)
  for (const bad of [() => one('tier', 'Like'), () => one('tier', 'In'), () => one('tier', 'Exists', ['a'])]) {
    assert.throws(bad, (error) => isStatus(error, 'BadRequest'))
  }
})

test('fields', () => {
  const object = { metadata: { name: 'a,b=c\\' }, status: { phase: 'Running' } }
  const matches = (text: string) => fieldMatcher(text, (field) => field === 'metadata.name' || field === 'status.phase')(object)
  assert.equal(matches(''), true)
  assert.equal(matches('status.phase=Running'), true)
  assert.equal(matches('status.phase==Running,metadata.name!=x'), true)
  assert.equal(matches('status.phase!=Running'), false)
  assert.equal(matches('metadata.name=a\\,b\\=c\\\\'), true)
  for (const text of ['status.phase', 'spec.foo=1', '=a', 'status.phase=a=b', 'status.phase=\\x']) {
    assert.throws(
      () => matches(text),
      (error) => isStatus(error, 'BadRequest'),
      text,
    )
  }
})
