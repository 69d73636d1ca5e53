import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import type { Container, Probe } from '#api/types/core-v1.gen.ts'
import { type Health, startProber } from './prober.ts'

function setup(probes: Partial<Container>, more: { before?: Health; age?: number } = {}) {
  const clock = fakeClock()
  const begun = clock.monotonic()
  const log: string[] = []
  const well = new Set<Probe>()
  const note = (text: string) => log.push(`${(clock.monotonic() - begun) / 1000}s ${text}`)
  const name = (probe: Probe) =>
    Object.entries(probes)
      .find(([, one]) => one === probe)?.[0]
      .replace('Probe', '') ?? ''
  const prober = startProber({
    container: { name: 'web', resources: {}, ...probes },
    age: more.age ?? 0,
    before: more.before,
    clock,
    check: async (probe) => {
      note(`check ${name(probe)}`)
      await Promise.resolve()
      return { ok: well.has(probe), output: 'refused' }
    },
    onChange: ({ started, ready }) => note(`${started ? 'started' : ''}${ready ? ' ready' : ' unready'}`.trim()),
    onFailure: (kind, output) => note(`${kind} failed: ${output}`),
    onGiveUp: (kind) => note(`gave up: ${kind}`),
  })
  const take = () => log.splice(0)
  return { clock, well, prober, take }
}

const http = (more: Partial<Probe> = {}): Probe => ({ httpGet: { port: 80 }, ...more })
const exec = (more: Partial<Probe> = {}): Probe => ({ exec: { command: ['true'] }, ...more })

test('without probes a container is started and ready at once', () => {
  const { prober, clock } = setup({})
  assert.deepEqual(prober.health, { started: true, ready: true })
  assert.equal(clock.pending, 0)
})

test('a container is looked at at once, and soon again until it is ready', async () => {
  const readinessProbe = http()
  const { clock, well, prober, take } = setup({ readinessProbe })
  assert.equal(prober.health.ready, false)
  await clock.advance(160)
  assert.deepEqual(take(), ['0s check readiness', '0.05s check readiness', '0.15s check readiness'])
  well.add(readinessProbe)
  await clock.advance(200)
  assert.deepEqual(take(), ['0.35s check readiness', '0.35s started ready'])
  await clock.advance(9_700)
  assert.deepEqual(take(), ['10s check readiness'])
  prober.stop()
  await clock.advance(0)
  assert.equal(clock.pending, 0)
})

test('early looks count no failure; the ones of the period do', async () => {
  const readinessProbe = http({ periodSeconds: 1 })
  const { clock, take } = setup({ readinessProbe })
  await clock.advance(2_000)
  assert.deepEqual(
    take().filter((line) => !line.includes('check')),
    ['1s readiness failed: refused', '2s readiness failed: refused'],
  )
})

test('a ready container becomes unready after three failures in a row', async () => {
  const readinessProbe = exec()
  const { clock, well, take } = setup({ readinessProbe })
  well.add(readinessProbe)
  await clock.advance(0)
  assert.deepEqual(take(), ['0s check readiness', '0s started ready'])
  well.clear()
  await clock.advance(20_000)
  well.add(readinessProbe)
  await clock.advance(10_000)
  well.clear()
  await clock.advance(30_000)
  assert.deepEqual(
    take().filter((line) => !line.includes('check')),
    [
      '10s readiness failed: refused',
      '20s readiness failed: refused',
      '40s readiness failed: refused',
      '50s readiness failed: refused',
      '60s readiness failed: refused',
      '60s started unready',
    ],
  )
})

test('liveness gives up at its threshold and probes no more', async () => {
  const livenessProbe = http({ periodSeconds: 2, failureThreshold: 2, initialDelaySeconds: 5 })
  const { clock, take } = setup({ livenessProbe })
  await clock.advance(60_000)
  assert.deepEqual(take(), [
    '5s check liveness',
    '5s liveness failed: refused',
    '7s check liveness',
    '7s liveness failed: refused',
    '7s gave up: liveness',
  ])
  assert.equal(clock.pending, 0)
})

test('the startup probe holds back the others', async () => {
  const startupProbe = exec({ periodSeconds: 1, failureThreshold: 5 })
  const livenessProbe = exec({ periodSeconds: 3 })
  const { clock, well, prober, take } = setup({ startupProbe, livenessProbe })
  assert.deepEqual(prober.health, { started: false, ready: false })
  await clock.advance(1_500)
  assert.deepEqual(
    take().filter((line) => line.includes('check')),
    ['0s check startup', '1s check startup'],
  )
  well.add(startupProbe).add(livenessProbe)
  await clock.advance(500)
  assert.deepEqual(take(), ['2s check startup', '2s started ready', '2s check liveness'])
  prober.stop()
})

test('a startup that never succeeds is given up', async () => {
  const { clock, take } = setup({ startupProbe: exec({ periodSeconds: 1, failureThreshold: 2 }) })
  await clock.advance(10_000)
  assert.deepEqual(take().at(-1), '1s gave up: startup')
})

test('a container found running keeps what was known of it', async () => {
  const readinessProbe = http()
  const { clock, well, prober, take } = setup(
    { startupProbe: http(), readinessProbe },
    { before: { started: true, ready: true }, age: 60_000 },
  )
  well.add(readinessProbe)
  assert.deepEqual(prober.health, { started: true, ready: true })
  await clock.advance(0)
  assert.deepEqual(take(), ['0s check readiness'])
  prober.stop()
})
