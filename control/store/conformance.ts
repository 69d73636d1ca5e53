// What every store must do, whatever its engine: run with `storeConformance(name, open)` from a test file.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Compacted, RevisionMismatch, type Store, type StoreEvent } from './store.ts'

const bytes = (text: string) => Buffer.from(text)
const show = (value: Uint8Array | undefined) => value && Buffer.from(value).toString()

async function take(store: Store, prefix: string, after: number, count: number): Promise<string[]> {
  const stop = new AbortController()
  const seen: string[] = []
  for await (const events of store.watch(prefix, { after, signal: stop.signal })) {
    seen.push(...events.map(describe))
    if (seen.length >= count) stop.abort()
  }
  return seen
}

const describe = (event: StoreEvent) =>
  event.type === 'put'
    ? `put ${event.entry.key}=${show(event.entry.value)} at ${event.entry.modRevision}${event.previous ? ` was ${show(event.previous.value)}` : ''}`
    : `delete ${event.key} at ${event.revision} was ${show(event.previous.value)}`

export function storeConformance(name: string, open: (t: TestContext) => Promise<{ store: Store; reopen(): Promise<Store> }>): void {
  test(`${name}: revisions rise by one a write, and a read shows the last one`, async (t) => {
    const { store } = await open(t)
    assert.equal(await store.revision(), 1)
    const first = await store.put('/a', bytes('1'))
    const second = await store.put('/a', (revision) => bytes(`at ${revision}`))
    assert.deepEqual([first.modRevision, second.modRevision, second.createRevision], [2, 3, 2])
    assert.equal(show((await store.get('/a'))?.value), 'at 3')
    assert.equal(await store.get('/b'), undefined)
  })

  test(`${name}: whoever asks for the revision is told of all that was acknowledged before, and of nothing that is not`, async (t) => {
    const { store } = await open(t)
    for (let i = 0; i < 20; i += 1) {
      const written = await store.put('/a', bytes(`${i}`))
      const asked = store.revision()
      const under = store.put('/a', bytes('under way'))
      const revision = await asked
      assert.ok(revision >= written.modRevision, `${revision} is older than ${written.modRevision}`)
      const [seen] = (await store.list('/a', { revision })).entries
      assert.ok((seen?.modRevision ?? 0) >= written.modRevision)
      assert.equal(await store.revision().then((now) => now >= revision), true)
      await under
    }
  })

  test(`${name}: of writers that expect the same revision exactly one wins`, async (t) => {
    const { store } = await open(t)
    const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => store.put('/a', bytes(`${i}`), { expected: 0 })))
    assert.equal(results.filter((r) => r.status === 'fulfilled').length, 1)
    for (const r of results) if (r.status === 'rejected') assert.ok(r.reason instanceof RevisionMismatch)
    const first = store.put('/new', bytes('first'), { expected: 0 })
    await assert.rejects(store.put('/new', bytes('second'), { expected: 0 }), RevisionMismatch)
    assert.equal(show((await store.latest('/new'))?.value), 'first', 'whoever lost sees what won')
    const winner = await store.latest('/new')
    const chained = store.put('/new', bytes('third'), { expected: winner?.modRevision ?? 0 })
    await store.committed(winner?.modRevision)
    await store.committed()
    assert.equal(show((await store.get('/new'))?.value), 'third', 'and can follow it without waiting')
    await Promise.all([first, chained])
    await assert.rejects(store.delete('/a', { expected: 99 }), RevisionMismatch)
    await assert.rejects(store.put('/a', bytes('x'), { expected: 0 }), RevisionMismatch)
    assert.equal((await store.put('/a', bytes('y'), { expected: 2 })).modRevision, 5)
  })

  test(`${name}: a write whose value cannot be made takes no revision, and nobody waits for it`, async (t) => {
    const { store } = await open(t)
    await store.put('/a', bytes('1'))
    const tooLarge = () => {
      throw new Error('too large')
    }
    await assert.rejects(store.put('/a', tooLarge, { expected: 2 }), /too large/)
    await store.committed()
    assert.equal(show((await store.latest('/a'))?.value), '1')
    assert.equal((await store.put('/a', bytes('2'), { expected: 2 })).modRevision, 3)
  })

  test(`${name}: who waits for a write does not wait for those behind it`, async (t) => {
    const { store } = await open(t)
    await store.put('/a', bytes('1'))
    const stop = new AbortController()
    // A write is under way all the time.
    const steady = (async () => {
      while (!stop.signal.aborted) await Promise.all([store.put('/s/1', bytes('x')), store.put('/s/2', bytes('x'))])
    })()
    const others = (async () => {
      await Promise.resolve()
      while (!stop.signal.aborted) await store.put('/s/3', bytes('x'))
    })()
    const gone = store.delete('/a')
    const lost = await store.put('/a', bytes('2'), { expected: 2 }).catch((error: unknown) => error)
    assert.ok(lost instanceof RevisionMismatch)
    assert.equal(lost.current, undefined, 'it is being deleted')
    await store.committed(lost.revision)
    assert.equal(await store.get('/a'), undefined)
    assert.equal((await store.put('/a', bytes('3'), { expected: 0 })).createRevision > lost.revision, true)
    stop.abort()
    await Promise.all([steady, others, gone])
  })

  test(`${name}: a write that comes at any moment of another's commit does not wait for a third`, async (t) => {
    const { store } = await open(t)
    for (let moment = 0; moment < 100; moment += 1) {
      const late = (async () => {
        for (let i = 0; i < moment; i += 1) await Promise.resolve()
        return await store.put('/late', bytes(`${moment}`))
      })()
      await Promise.all([store.put('/first', bytes(`${moment}`)), late])
    }
  })

  test(`${name}: a list shows one revision, page by page, while writes go on`, async (t) => {
    const { store } = await open(t)
    for (const key of ['/p/c', '/p/a', '/q/x', '/p/b']) await store.put(key, bytes(`${key} first`))
    const page = await store.list('/p/', { limit: 2 })
    assert.deepEqual([page.entries.map((e) => e.key), page.remaining], [['/p/a', '/p/b'], 1])
    await store.put('/p/c', bytes('changed'))
    await store.put('/p/bb', bytes('new'))
    await store.delete('/p/a')
    const rest = await store.list('/p/', { revision: page.revision, after: '/p/b', limit: 2 })
    assert.deepEqual(
      rest.entries.map((e) => show(e.value)),
      ['/p/c first'],
    )
    const all = await store.list('/p/', { revision: page.revision })
    assert.deepEqual(
      all.entries.map((e) => show(e.value)),
      ['/p/a first', '/p/b first', '/p/c first'],
    )
    assert.deepEqual(
      (await store.list('/p/')).entries.map((e) => e.key),
      ['/p/b', '/p/bb', '/p/c'],
    )
  })

  test(`${name}: a watch replays from its revision and then follows, missing and repeating nothing`, async (t) => {
    const { store } = await open(t)
    await store.put('/w/a', bytes('1'))
    await store.put('/other', bytes('x'))
    await store.put('/w/a', bytes('2'))
    const seen = take(store, '/w/', 2, 4)
    await store.delete('/w/a')
    await store.put('/w/b', bytes('3'))
    await store.put('/w/a', bytes('4'))
    assert.deepEqual(await seen, ['put /w/a=2 at 4 was 1', 'delete /w/a at 5 was 2', 'put /w/b=3 at 6', 'put /w/a=4 at 7'])
  })

  test(`${name}: history is what a watch would replay, between two revisions`, async (t) => {
    const { store } = await open(t)
    for (const value of ['1', '2', '3']) await store.put('/h/a', bytes(value))
    await store.put('/other', bytes('x'))
    await store.delete('/h/a')
    await store.put('/h/b', bytes('4'))
    const seen: string[] = []
    for await (const events of store.history('/h/', { after: 2, upTo: 6 })) seen.push(...events.map(describe))
    assert.deepEqual(seen, ['put /h/a=2 at 3 was 1', 'put /h/a=3 at 4 was 2', 'delete /h/a at 6 was 3'])
    await store.compact(4)
    await assert.rejects(store.history('/h/', { after: 2, upTo: 6 })[Symbol.asyncIterator]().next(), Compacted)
  })

  test(`${name}: compaction forgets old revisions and nothing else`, async (t) => {
    const { store } = await open(t)
    for (const value of ['1', '2', '3']) await store.put('/a', bytes(value))
    await store.put('/gone', bytes('x'))
    await store.delete('/gone')
    await store.compact(4)
    await assert.rejects(store.list('/', { revision: 2 }), Compacted)
    await assert.rejects(take(store, '/', 3, 1), Compacted)
    assert.deepEqual(
      (await store.list('/', { revision: 5 })).entries.map((e) => show(e.value)),
      ['3', 'x'],
    )
    await store.compact(await store.revision())
    assert.deepEqual(
      (await store.list('/')).entries.map((e) => `${e.key}=${show(e.value)}`),
      ['/a=3'],
    )
  })

  test(`${name}: what was acknowledged is there after a restart, history too, and revisions never repeat`, async (t) => {
    const { store, reopen } = await open(t)
    await store.put('/a', bytes('1'))
    await store.put('/a', bytes('2'))
    await store.put('/lease', bytes('now'), { ephemeral: true })
    await store.delete('/a')
    const last = await store.put('/b', bytes('3'))
    const again = await reopen()
    assert.deepEqual(
      (await again.list('/')).entries.map((e) => `${e.key}=${show(e.value)}`),
      ['/b=3'],
    )
    assert.ok((await again.revision()) >= last.modRevision)
    assert.deepEqual(await take(again, '/a', 2, 2), ['put /a=2 at 3 was 1', 'delete /a at 5 was 2'])
    assert.ok((await again.put('/c', bytes('4'))).modRevision > last.modRevision)
  })

  test(`${name}: a deletion that was the last write, and was compacted away, is no revision lost`, async (t) => {
    const { store, reopen } = await open(t)
    await store.put('/a', bytes('1'))
    await store.put('/b', bytes('2'))
    await store.delete('/b')
    const revision = await store.revision()
    await store.compact(revision)
    const again = await reopen()
    assert.equal(await again.revision(), revision)
    assert.deepEqual(
      (await again.list('/')).entries.map((e) => e.key),
      ['/a'],
    )
    assert.equal((await again.put('/c', bytes('3'))).modRevision, revision + 1)
  })

  test(`${name}: an ephemeral value is read, watched and superseded like any other`, async (t) => {
    const { store } = await open(t)
    await store.put('/l/a', bytes('1'), { ephemeral: true })
    const page = await store.list('/l/')
    await store.put('/l/a', bytes('2'), { ephemeral: true })
    await store.delete('/l/a')
    assert.deepEqual(await take(store, '/l/', 1, 3), ['put /l/a=1 at 2', 'put /l/a=2 at 3 was 1', 'delete /l/a at 4 was 2'])
    assert.deepEqual(
      (await store.list('/l/', { revision: page.revision })).entries.map((e) => show(e.value)),
      ['1'],
    )
    await store.compact(await store.revision())
    assert.deepEqual((await store.list('/l/')).entries, [])
  })

  test(`${name}: random histories agree with a plain interpreter`, async (t) => {
    const { store, reopen } = await open(t)
    const model: Map<string, string>[] = [new Map(), new Map()]
    const keys = ['/r/a', '/r/b', '/r/c', '/r/d']
    let seed = 7
    const random = (n: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor((seed / 2_147_483_648) * n)
    }
    for (let i = 0; i < 300; i += 1) {
      const key = keys[random(keys.length)] as string
      const next = new Map(model.at(-1))
      if (random(3) === 0) {
        if (!(await store.delete(key))) continue
        next.delete(key)
      } else {
        await store.put(key, bytes(`${i}`))
        next.set(key, `${i}`)
      }
      model.push(next)
      if (random(40) === 0) await store.compact((await store.revision()) - 20)
    }
    const again = await reopen()
    const now = await again.revision()
    for (let revision = now - 15; revision <= now; revision += 1) {
      const { entries } = await again.list('/r/', { revision })
      const expected = [...(model[revision] as Map<string, string>)].sort(([a], [b]) => (a < b ? -1 : 1))
      assert.deepEqual(
        entries.map((e) => [e.key, show(e.value)]),
        expected,
        `at revision ${revision}`,
      )
    }
  })
}
