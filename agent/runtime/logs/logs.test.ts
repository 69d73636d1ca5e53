import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type LogOptions, readLogs } from './read.ts'
import { rotateLog } from './rotate.ts'

const line = (n: number, text: string, { tag = 'F', stream = 'stdout' } = {}) =>
  `2026-01-02T03:04:${String(n).padStart(2, '0')}.123456789+00:00 ${stream} ${tag} ${text}\n`

function logFile(t: TestContext, content: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-log-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, '0.log'), content)
  return join(dir, '0.log')
}

const read = async (path: string, options?: LogOptions) => Buffer.concat(await Array.fromAsync(readLogs(path, options))).toString()

test('pieces of a line are joined, streams merged, nonsense skipped', async (t) => {
  const path = logFile(
    t,
    line(1, 'one') +
      line(2, 'two ', { tag: 'P' }) +
      line(3, 'parts') +
      'garbage\n\n' +
      line(4, 'err', { stream: 'stderr' }) +
      line(5, 'end', { tag: 'P' }) +
      '2026',
  )
  assert.equal(await read(path), 'one\ntwo parts\nerr\nend')
  assert.equal(await read(path, { stream: 'stderr' }), 'err\n')
  const time = (n: number) => `2026-01-02T03:04:0${n}.123456789Z`
  assert.equal(await read(path, { timestamps: true }), `${time(1)} one\n${time(2)} two parts\n${time(4)} err\n${time(5)} end`)
  assert.equal(await read(path, { since: new Date('2026-01-02T03:04:04Z') }), 'err\nend')
  assert.equal(await read(path, { limitBytes: 6 }), 'one\ntw')
  await assert.rejects(read(`${path}.nosuch`), { code: 'ENOENT' })
})

test('the last lines are counted as people see them, however long the file', async (t) => {
  const path = logFile(t, line(1, 'a') + line(2, 'b1', { tag: 'P' }) + line(3, 'b2') + line(4, 'c'))
  assert.equal(await read(path, { tailLines: 0 }), '')
  assert.equal(await read(path, { tailLines: 1 }), 'c\n')
  assert.equal(await read(path, { tailLines: 2 }), 'b1b2\nc\n')
  assert.equal(await read(path, { tailLines: 3 }), 'a\nb1b2\nc\n')
  assert.equal(await read(path, { tailLines: 99 }), 'a\nb1b2\nc\n')
  assert.equal(await read(logFile(t, ''), { tailLines: 3 }), '')
  const unfinished = logFile(t, line(1, 'a') + line(2, 'b') + line(3, 'c1', { tag: 'P' }))
  assert.equal(await read(unfinished, { tailLines: 1 }), 'c1')
  assert.equal(await read(unfinished, { tailLines: 2 }), 'b\nc1')
  appendFileSync(unfinished, line(4, 'c2', { tag: 'P' }) + '2026-01-02T03:04:05')
  assert.equal(await read(unfinished, { tailLines: 1 }), 'c1c2')
  assert.equal(await read(unfinished, { tailLines: 3 }), 'a\nb\nc1c2')
  const long = Array.from({ length: 5000 }, (_, n) => `${n} ${'x'.repeat((n * 37) % 90)}`)
  const big = logFile(t, long.map((text) => line(1, text)).join(''))
  for (const count of [1, 700, 701, 1234, 4999, 5000])
    assert.equal(await read(big, { tailLines: count }), `${long.slice(-count).join('\n')}\n`)
})

test('following goes on over rotations and ends with the container', async (t) => {
  const path = logFile(t, line(1, 'old'))
  const exited = Promise.withResolvers<void>()
  const seen: string[] = []
  let next = () => {}
  const following = (async () => {
    for await (const chunk of readLogs(path, { follow: true, tailLines: 0, exited: exited.promise })) {
      seen.push(chunk.toString())
      next()
    }
  })()
  const written = async (write: () => void) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    next = resolve
    write()
    await promise
  }
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setTimeout(resolve, 20))
  await written(() => appendFileSync(path, line(2, 'new')))
  await written(() => {
    // As conmon does: a last line in the renamed file, then another one in its place.
    renameSync(path, `${path}.1`)
    appendFileSync(`${path}.1`, line(3, 'last'))
    writeFileSync(`${path}.tmp`, '')
    renameSync(`${path}.tmp`, path)
  })
  await written(() => appendFileSync(path, line(4, 'first')))
  appendFileSync(path, line(5, 'bye'))
  exited.resolve()
  await following
  assert.equal(seen.join(''), 'new\nlast\nfirst\nbye\n')
})

test('an aborted follower ends', async (t) => {
  const path = logFile(t, line(1, 'x'))
  assert.equal(await read(path, { follow: true, signal: AbortSignal.timeout(30) }), 'x\n')
})

test('rotation keeps the newest files whatever the clock says meanwhile, and for two within a second', async (t) => {
  const path = logFile(t, '')
  const times = [Date.UTC(2026, 11, 31, 23, 59, 59), Date.UTC(2026, 11, 31, 23, 59, 59, 300), 0, Date.UTC(2025, 0, 1)]
  for (const [n, time] of times.entries()) {
    writeFileSync(path, `${n}`.repeat(10))
    await rotateLog(path, { maxBytes: 10, maxFiles: 3 }, new Date(time), async () => writeFileSync(path, ''))
  }
  const left = ['0.log.20270101-000001', '0.log.20270101-000002']
  assert.deepEqual(readdirSync(join(path, '..')).sort(), ['0.log', ...left])
  assert.deepEqual(
    left.map((name) => readFileSync(join(path, '..', name), 'utf8')),
    ['2'.repeat(10), '3'.repeat(10)],
  )
})

test('rotation keeps the newest files, and undoes itself where the writer is gone', async (t) => {
  const path = logFile(t, '')
  for (let n = 0; n < 5; n++) {
    writeFileSync(path, `${n}`.repeat(10))
    assert.equal(
      await rotateLog(path, { maxBytes: 10, maxFiles: 3 }, new Date(Date.UTC(2026, 0, 1, 0, 0, n)), async () => writeFileSync(path, '')),
      true,
    )
  }
  assert.deepEqual(readdirSync(join(path, '..')).sort(), ['0.log', '0.log.20260101-000003', '0.log.20260101-000004'])
  assert.equal(await rotateLog(path, { maxBytes: 10, maxFiles: 3 }, new Date(), async () => {}), false)
  writeFileSync(path, 'still here')
  await assert.rejects(rotateLog(path, { maxBytes: 1, maxFiles: 3 }, new Date(), () => Promise.reject(new Error('ENXIO'))))
  assert.equal(readFileSync(path, 'utf8'), 'still here')
})
