// When schedules fall due: dates, time zones, and the two nights of the year when clocks change.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCron } from '#api/kinds/rules/cron-schedule.ts'
import { lastDue, nextDue } from './times.ts'

const iso = (ms: number | undefined) => (ms === undefined ? 'never' : new Date(ms).toISOString().replace(':00.000Z', 'Z'))
const series = (schedule: string, zone: string | undefined, start: string, count: number) => {
  const parsed = parseCron(schedule)
  const from = Date.parse(start)
  const found: string[] = []
  for (let at: number | undefined = from; found.length < count; ) {
    at = nextDue(parsed, zone, from, at)
    found.push(iso(at))
    if (at === undefined) break
  }
  return found
}

test('dates and times', () => {
  assert.deepEqual(series('*/20 9-10 * * *', 'UTC', '2025-03-01T09:20:00Z', 4), [
    '2025-03-01T09:40Z',
    '2025-03-01T10:00Z',
    '2025-03-01T10:20Z',
    '2025-03-01T10:40Z',
  ])
  // In the middle of a minute that is due, it has passed.
  assert.deepEqual(series('* * * * *', 'UTC', '2025-03-01T09:20:30Z', 2), ['2025-03-01T09:21Z', '2025-03-01T09:22Z'])
  assert.deepEqual(series('0 0 29 2 *', 'UTC', '2025-01-01T00:00:00Z', 2), ['2028-02-29T00:00Z', '2032-02-29T00:00Z'])
  assert.deepEqual(series('0 0 29 2 *', 'UTC', '2096-03-01T00:00:00Z', 1), ['2104-02-29T00:00Z'])
  assert.deepEqual(series('0 0 30 2 *', 'UTC', '2025-01-01T00:00:00Z', 2), ['never'])
  // Either list where both are closed, both where one is open.
  assert.deepEqual(series('0 0 13 * 5', 'UTC', '2025-06-01T00:00:00Z', 3), ['2025-06-06T00:00Z', '2025-06-13T00:00Z', '2025-06-20T00:00Z'])
  assert.deepEqual(series('0 0 * * 0', 'UTC', '2025-06-01T00:00:00Z', 2), ['2025-06-08T00:00Z', '2025-06-15T00:00Z'])
  assert.deepEqual(series('@yearly', 'UTC', '2025-06-01T00:00:00Z', 2), ['2026-01-01T00:00Z', '2027-01-01T00:00Z'])
  assert.deepEqual(series('@every 90m', 'Asia/Tokyo', '2025-06-01T00:10:00Z', 2), ['2025-06-01T01:40Z', '2025-06-01T03:10Z'])
})

test('time zones, also those with odd minutes and on the far side of the date line', () => {
  assert.deepEqual(series('30 2 * * *', 'Asia/Kathmandu', '2025-01-01T00:00:00Z', 1), ['2025-01-01T20:45Z'])
  assert.deepEqual(series('0 1 1 * *', 'Pacific/Kiritimati', '2025-01-15T00:00:00Z', 1), ['2025-01-31T11:00Z'])
  assert.deepEqual(series('0 23 31 12 *', 'Pacific/Pago_Pago', '2025-01-15T00:00:00Z', 1), ['2026-01-01T10:00Z'])
})

test('when summer time ends, 02:00 is once, and each hour stays an hour', () => {
  // Berlin goes back from 03:00 (+2) to 02:00 (+1) at 01:00Z.
  const night = '2025-10-25T22:00:00Z'
  assert.deepEqual(series('0 2 * * *', 'Europe/Berlin', night, 2), ['2025-10-26T00:00Z', '2025-10-27T01:00Z'])
  assert.deepEqual(series('30 1-3 * * *', 'Europe/Berlin', night, 4), [
    '2025-10-25T23:30Z',
    '2025-10-26T00:30Z',
    '2025-10-26T02:30Z',
    '2025-10-27T00:30Z',
  ])
  assert.deepEqual(series('0 * * * *', 'Europe/Berlin', night, 4), [
    '2025-10-25T23:00Z',
    '2025-10-26T00:00Z',
    '2025-10-26T01:00Z',
    '2025-10-26T02:00Z',
  ])
})

test('when summer time begins, a time that does not exist is passed over', () => {
  // Berlin goes from 02:00 (+1) to 03:00 (+2) at 01:00Z.
  const night = '2025-03-29T23:30:00Z'
  assert.deepEqual(series('30 2 * * *', 'Europe/Berlin', night, 1), ['2025-03-31T00:30Z'])
  assert.deepEqual(series('0 3 * * *', 'Europe/Berlin', night, 1), ['2025-03-30T01:00Z'])
  assert.deepEqual(series('*/30 * * * *', 'Europe/Berlin', night, 3), ['2025-03-30T00:00Z', '2025-03-30T00:30Z', '2025-03-30T01:00Z'])
})

test('the last one missed is found whatever was missed before it', () => {
  const last = (schedule: string, from: string, to: string, zone = 'UTC') =>
    iso(lastDue(parseCron(schedule), zone, Date.parse(from), Date.parse(to)))
  assert.equal(last('* * * * *', '1970-01-01T00:00:00Z', '2025-06-01T10:00:59Z'), '2025-06-01T10:00Z')
  assert.equal(last('0 2 * * *', '2025-05-31T02:00:00Z', '2025-06-01T02:00:00Z'), '2025-06-01T02:00Z')
  assert.equal(last('0 2 * * *', '2025-06-01T02:00:00Z', '2025-06-02T01:59:59Z'), 'never')
  assert.equal(last('0 0 29 2 *', '2025-01-01T00:00:00Z', '2031-01-01T00:00:00Z'), '2028-02-29T00:00Z')
  assert.equal(last('0 0 30 2 *', '2025-01-01T00:00:00Z', '2031-01-01T00:00:00Z'), 'never')
  assert.equal(last('0 2 * * *', '2025-10-25T12:00:00Z', '2025-10-26T12:00:00Z', 'Europe/Berlin'), '2025-10-26T00:00Z')
  assert.equal(last('@every 1h', '2025-06-01T00:10:00Z', '2025-06-01T05:00:00Z'), '2025-06-01T04:10Z')
  assert.equal(last('@every 1h', '2025-06-01T00:10:00Z', '2025-06-01T01:00:00Z'), 'never')
})

test('forwards and backwards agree, through a whole year of every kind of zone', () => {
  for (const zone of ['America/St_Johns', 'Australia/Lord_Howe', 'America/Sao_Paulo']) {
    for (const schedule of ['30 */3 * * *', '5 0 1,15 * 1']) {
      const parsed = parseCron(schedule)
      const start = Date.UTC(2018, 0, 1)
      let before = start
      for (let at = nextDue(parsed, zone, start, start); at !== undefined && at < start + 365 * 86_400_000; ) {
        assert.ok(at > before)
        assert.equal(lastDue(parsed, zone, before, at), at)
        assert.equal(lastDue(parsed, zone, before, at - 1), undefined, `${zone} ${schedule} ${iso(before)} ${iso(at)}`)
        before = at
        at = nextDue(parsed, zone, start, at)
      }
    }
  }
})
