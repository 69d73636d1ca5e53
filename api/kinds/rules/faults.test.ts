import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Faults, repeats, same } from './faults.ts'

const json = (text: string) => JSON.parse(text) as unknown

test('what every object has by nature is no key of it', () => {
  for (const key of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
    assert.equal(same(json('{}'), json(`{"${key}":"a"}`)), false, key)
    assert.equal(same(json(`{"${key}":"a"}`), json('{}')), false, key)
    assert.equal(same(json(`{"${key}":{}}`), json('{}')), false, key)
    assert.equal(same(json(`{"${key}":"a"}`), json(`{"${key}":"a"}`)), true, key)
  }
  assert.equal(same({ a: undefined, b: 1 }, { b: 1 }), true)
  assert.equal(same({ b: 1 }, { a: undefined, b: 1 }), true)
})

test('what is wrong in very many places is told of the first', () => {
  const faults = new Faults()
  for (let i = 0; i < 100_000; i++) faults.required(`spec.items[${i}].name`, 'it is needed')
  assert.ok(faults.list.length > 1000 && faults.list.length < 20_000)
})

test('values that come again', () => {
  const repeated = repeats()
  assert.deepEqual(['a', 'b', 'a', 'a', 'b', 'c'].map(repeated), [false, false, true, true, true, false])
})
