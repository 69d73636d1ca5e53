// Random requests against the whole server: never a 5xx, a hang or a crash, and nothing is stored that
// the server would not take again. FUZZ_SEED repeats a run, FUZZ_SECONDS makes it longer.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '#api/log.ts'
import { noteKeys, seeded } from '#api/schema/random.fake.ts'
import { parseYamlDocuments } from '#api/yaml/yaml.ts'
import { Fuzz, type FuzzRequest } from '../testing/fuzz.fake.ts'
import { admin, configMap, deployment, type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'

const seconds = Number(process.env.FUZZ_SECONDS ?? 5)
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000)
const hangsAfterMs = 10_000

test(`random requests, seed ${seed}`, async (t) => {
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const complaints: unknown[] = []
  const log: Log = { debug() {}, info() {}, warn() {}, error: (fields) => complaints.push(fields) }
  const server = await trial({ log })
  t.after(() => server.close())
  const resources = server.core.resources.all()
  for (const { schema } of resources) noteKeys(schema)
  const fuzz = new Fuzz({ random: seeded(seed), resources, samples: await samples() })
  const codes = new Map<number, number>()
  const end = performance.now() + seconds * 1000
  let count = 0
  while (performance.now() < end) {
    const request = fuzz.next()
    const { code, text } = await answer(server, request)
    const said = `request ${count}: ${show(request)}\n→ ${code} ${text.slice(0, 1000)}`
    // A version that is yet to come is the one thing that the server waits for in vain.
    if (code >= 500) assert.ok(code === 504 && (request.method === 'HEAD' || /Too large resource version/.test(text)), said)
    if (code >= 400 && request.method !== 'HEAD') assert.ok(text.startsWith('k8s\0') || JSON.parse(text).kind === 'Status', said)
    assert.deepEqual(complaints, [], said)
    codes.set(code, (codes.get(code) ?? 0) + 1)
    count += 1
  }
  assert.ok((codes.get(201) ?? 0) > count / 50 && (codes.get(200) ?? 0) > count / 50, 'the fuzz must get somewhere')
  t.diagnostic(
    `${count} requests: ${[...codes]
      .toSorted(([a], [b]) => a - b)
      .map(([code, n]) => `${n} × ${code}`)
      .join(', ')}`,
  )
  t.diagnostic(`${await takenAgain(server)} objects of ${resources.length} kinds are taken again as they are`)
})

/** Everything stored is accepted when it is sent back unchanged. */
async function takenAgain(server: Trial): Promise<number> {
  let count = 0
  for (const { apiVersion, kind, verbs } of server.core.resources.kept()) {
    if (!verbs.includes('update') || !verbs.includes('list')) continue
    const root = `/${apiVersion.includes('/') ? 'apis' : 'api'}/${apiVersion}`
    const { body } = await server.ask('GET', `${root}/${kind.plural}`)
    for (const item of body.items as Json[]) {
      const { name, namespace } = item.metadata
      const path = `${root}/${namespace ? `namespaces/${encodeURIComponent(namespace)}/` : ''}${kind.plural}/${encodeURIComponent(name)}`
      const again = await server.ask('PUT', `${path}?fieldValidation=Strict`, { apiVersion, kind: kind.kind, ...item })
      assert.equal(again.code, 200, `${path}: ${again.text}\n${JSON.stringify(item)}`)
      count += 1
    }
  }
  return count
}

async function answer(server: Trial, { method, path, headers, body }: FuzzRequest): Promise<{ code: number; text: string }> {
  const whole = async () => {
    const response = await server.app.request(
      path,
      { method, headers, ...(body !== undefined && { body: body as string }) },
      { user: admin },
    )
    return { code: response.status, text: await response.text() }
  }
  const asked = whole()
  const since = performance.now()
  // Time only passes for those who wait for it: a watch's end, a version to come.
  for (let waited = 1; ; waited += 1) {
    const done = await Promise.race([asked, sleep(waited < 3 ? 1 : 20)])
    if (done) return done
    if (performance.now() - since > hangsAfterMs) assert.fail(`no answer to ${show({ method, path, headers, body })}`)
    await server.clock.advance(waited < 10 ? 5000 : 3_600_000)
  }
}

const show = ({ method, path, headers, body }: FuzzRequest): string =>
  `${method} ${path} ${JSON.stringify(headers)}\n${typeof body === 'string' ? body.slice(0, 3000) : body ? Buffer.from(body).toString('base64') : ''}`

async function samples(): Promise<Map<string, Json>> {
  const text = await readFile(resolve(import.meta.dirname, 'kinds.fixture.yaml'), 'utf8')
  const objects: Json[] = [
    ...parseYamlDocuments(text.replaceAll('NAMESPACE', 'test')),
    configMap('a', { a: 'b' }, { x: '7' }),
    deployment('a'),
    { ...pod('a'), apiVersion: 'v1', kind: 'Pod' },
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' }, spec: { selector: { a: 'b' }, ports: [{ port: 80 }] } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, stringData: { a: 'b' } },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } },
    { apiVersion: 'v1', kind: 'Node', metadata: { name: 'a' } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a' } },
  ]
  return new Map(objects.map((object) => [`${object.apiVersion} ${object.kind}`, object]))
}
