import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, parseDuration } from './duration.ts'
import { normalizeTime, timeFromUnix } from './time.ts'

test('times have one spelling', () => {
  assert.equal(normalizeTime('2024-03-01T00:30:00+01:00', false), '2024-02-29T23:30:00Z')
  assert.equal(normalizeTime('2024-03-01T00:30:00.987654321Z', false), '2024-03-01T00:30:00Z')
  assert.equal(normalizeTime('2024-03-01T00:30:00.987654321-00:30', true), '2024-03-01T01:00:00.987654Z')
  assert.equal(normalizeTime('2024-03-01T00:30:00Z', true), '2024-03-01T00:30:00.000000Z')
  assert.equal(normalizeTime('0001-01-01T00:00:00Z', false), '0001-01-01T00:00:00Z')
  assert.equal(timeFromUnix(-1, 0, false), '1969-12-31T23:59:59Z')
  assert.equal(timeFromUnix(1e12, 0, false), undefined)
  assert.equal(timeFromUnix(Number.MAX_SAFE_INTEGER, 0, false), undefined)
})

test('what is no time', () => {
  for (const text of [
    '',
    'now',
    '2024-02-30T00:00:00Z',
    '2024-13-01T00:00:00Z',
    '2024-01-01T24:00:00Z',
    '2024-01-01 00:00:00Z',
    '2024-01-01T00:00:00',
    '2024-01-01T00:00:60Z',
  ]) {
    assert.equal(normalizeTime(text, false), undefined, text)
  }
})

test('durations as Go spells them', () => {
  const spelled: Record<string, string> = {
    '0': '0s',
    '90s': '1m30s',
    '1.5h': '1h30m0s',
    '-1m': '-1m0s',
    '1500us': '1.5ms',
    '3ns': '3ns',
    '1h1ms': '1h0m0.001s',
    '100s': '1m40s',
    '10ms': '10ms',
  }
  for (const [text, go] of Object.entries(spelled)) assert.equal(formatDuration(parseDuration(text) ?? -1n), go, text)
  for (const text of ['', '5', 's', '.s', '1 s', '1d', '--1s', '+-1s', '1m ']) assert.equal(parseDuration(text), undefined, text)
})
