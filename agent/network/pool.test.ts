import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCidrs } from '#api/cidr.ts'
import { AddressPools } from './pool.ts'

const pools = (ranges: string) => new AddressPools(parseCidrs(ranges)!)
const next = (pool: AddressPools) => pool.complete([]).join()

test('the network’s, the gateway’s and the broadcast address are never given out; when all are, it says so', () => {
  const pool = pools('10.42.1.0/29')
  const given = Array.from({ length: 5 }, () => next(pool))
  assert.deepEqual(given, ['10.42.1.2', '10.42.1.3', '10.42.1.4', '10.42.1.5', '10.42.1.6'])
  assert.throws(() => next(pool), { code: 'EADDRNOTAVAIL' })
  const six = pools('fd42::/126')
  assert.deepEqual([next(six), next(six)], ['fd42::2', 'fd42::3'])
  assert.throws(() => next(six), { code: 'EADDRNOTAVAIL' })
})

test('an address given back is the last to be given out again', () => {
  const pool = pools('10.42.1.0/29')
  pool.release([next(pool)])
  for (const expected of ['10.42.1.3', '10.42.1.4', '10.42.1.5', '10.42.1.6', '10.42.1.2']) assert.equal(next(pool), expected)
  pool.release(['10.42.1.5'])
  pool.release(['10.42.1.3'])
  assert.deepEqual([next(pool), next(pool)], ['10.42.1.5', '10.42.1.3'])
})

test('an address that was found in use is not given out, and only once found', () => {
  const pool = pools('10.42.1.0/29')
  assert.deepEqual([pool.reserve(['10.42.1.2']), pool.reserve(['10.42.1.2']), pool.reserve(['10.42.2.2'])], [['10.42.1.2'], [], []])
  assert.equal(next(pool), '10.42.1.3')
  pool.release(['10.42.7.7'])
  assert.deepEqual([next(pool), next(pool), next(pool)], ['10.42.1.4', '10.42.1.5', '10.42.1.6'])
})

test('an address that was found in use and given back is given out once', () => {
  const pool = pools('10.42.1.0/29')
  pool.reserve(['10.42.1.3'])
  pool.release(['10.42.1.3'])
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => next(pool)),
    ['10.42.1.2', '10.42.1.4', '10.42.1.5', '10.42.1.6', '10.42.1.3'],
  )
  assert.throws(() => next(pool), { code: 'EADDRNOTAVAIL' })
})

test('a pod has an address of each family, in the order of the ranges; what it lacks is added to what it has', () => {
  const pool = pools('fd42::/64,10.42.1.0/30')
  assert.deepEqual(pool.reserve(['10.42.1.2', '192.0.2.1']), ['10.42.1.2'])
  assert.deepEqual(pool.complete(['10.42.1.2']), ['fd42::2', '10.42.1.2'])
  assert.throws(() => pool.complete([]), { code: 'EADDRNOTAVAIL', message: /10\.42\.1\.0\/30/ })
  pool.release(['10.42.1.2'])
  assert.deepEqual(pool.complete([]), ['fd42::4', '10.42.1.2'], 'the address of the pod that failed waits its turn')
})
