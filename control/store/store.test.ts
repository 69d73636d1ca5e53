import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { silent } from '#api/log.ts'
import { storeConformance } from './conformance.ts'
import { lateStore } from './late.fake.ts'
import { openLevelStore } from './level.ts'
import { MemoryEngine } from './memory.ts'
import { openMvcc } from './mvcc.ts'
import { Compacted } from './store.ts'

storeConformance('memory', async () => {
  const engine = new MemoryEngine()
  const open = () => openMvcc({ engine, log: silent })
  return { store: await open(), reopen: open }
})

storeConformance('memory, late', async () => {
  const engine = new MemoryEngine()
  const open = async () => lateStore(await openMvcc({ engine, log: silent }))
  return { store: await open(), reopen: open }
})

storeConformance('level', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-store-'))
  let store = await openLevelStore({ dir, log: silent })
  t.after(async () => {
    await store.close()
    await rm(dir, { recursive: true })
  })
  const reopen = async () => {
    await store.close()
    store = await openLevelStore({ dir, log: silent })
    return store
  }
  return { store, reopen }
})

test('a commit that fails fails its writes; the store then reads the disk back and goes on', async () => {
  const engine = new MemoryEngine()
  const store = await openMvcc({ engine, log: silent })
  await store.put('/a', Buffer.from('1'))
  const watching = (async () => {
    for await (const _ of store.watch('/', { after: await store.revision(), signal: new AbortController().signal }))
      assert.fail('no event was due')
  })()
  engine.failure = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  const lost = await Promise.allSettled([store.put('/a', Buffer.from('2')), store.put('/b', Buffer.from('3'))])
  assert.deepEqual(
    lost.map((r) => r.status),
    ['rejected', 'rejected'],
  )
  assert.equal(Buffer.from((await store.get('/a'))?.value ?? []).toString(), '1')
  const after = await store.put('/b', Buffer.from('4'), { expected: 0 })
  assert.ok(after.modRevision > 4, 'a revision that was handed out and lost is not used again')
  await assert.rejects(watching, Compacted)
})

test('kill -9 in the middle of writing loses nothing that was acknowledged', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-store-'))
  t.after(() => rm(dir, { recursive: true }))
  const writer = `
    import { openLevelStore } from ${JSON.stringify(new URL('level.ts', import.meta.url).href)}
    const store = await openLevelStore({ dir: ${JSON.stringify(dir)}, log: console })
    for (let i = 0; ; i += 1) store.put('/k/' + i % 500, Buffer.from(String(i))).then(() => console.log(i))
      , i % 16 === 15 && await new Promise(setImmediate)
  `
  const child = spawn(process.execPath, ['--input-type=module', '--eval', writer], { stdio: ['ignore', 'pipe', 'inherit'] })
  const acknowledged = new Map<string, number>()
  let count = 0
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.set(`/k/${Number(line) % 500}`, Number(line))
    count += 1
    if (count === 2000) child.kill('SIGKILL')
  }
  assert.ok(count >= 2000)
  const store = await openLevelStore({ dir, log: silent })
  const { entries } = await store.list('/k/')
  const found = new Map(entries.map((e) => [e.key, Number(Buffer.from(e.value).toString())]))
  for (const [key, value] of acknowledged)
    assert.ok((found.get(key) ?? -1) >= value, `${key}: ${value} was acknowledged, ${found.get(key)} is there`)
  await store.close()
})
