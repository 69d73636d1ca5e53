import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { memoryStore } from '../../store/memory.ts'
import { configMap, pod, type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const names = (body: { items: { metadata: { name: string } }[] }) => body.items.map((i) => i.metadata.name)

describe('lists', () => {
  let server: Trial
  before(async () => {
    server = await trial()
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await server.ask('POST', maps, configMap(name, {}, { half: name < 'c' ? 'first' : 'second' }))
    }
  })
  after(() => server.close())
  const list = async (query: string) => (await server.ask('GET', `${maps}?${query}`)).body as never

  it('are in the order of names, and select', async () => {
    assert.deepEqual(names(await list('')), ['a', 'b', 'c', 'd', 'e'])
    assert.deepEqual(names(await list('labelSelector=half%3Dfirst')), ['a', 'b'])
    assert.deepEqual(names(await list('labelSelector=half+notin+(first)')), ['c', 'd', 'e'])
    assert.deepEqual(names(await list('fieldSelector=metadata.name%3Dd')), ['d'])
    assert.deepEqual(names(await list('fieldSelector=metadata.name!%3Dd&labelSelector=half%3Dsecond')), ['c', 'e'])
    const unknown = await server.ask('GET', `${maps}?fieldSelector=data.a%3D1`)
    assert.deepEqual([unknown.code, unknown.body.message], [400, 'field label not supported: data.a'])
  })

  it('span namespaces', async () => {
    await server.ask('POST', '/api/v1/namespaces/default/configmaps', configMap('elsewhere'))
    // Beside the server's own.
    const all = await server.ask('GET', '/api/v1/configmaps?fieldSelector=metadata.namespace!%3Dkube-system')
    assert.deepEqual(names(all.body as never), ['elsewhere', 'a', 'b', 'c', 'd', 'e'])
    const selected = await server.ask('GET', '/api/v1/configmaps?fieldSelector=metadata.namespace%3Ddefault')
    assert.deepEqual(names(selected.body as never), ['elsewhere'])
  })

  it('come in pages of one revision, whatever happens in between', async () => {
    const first = (await server.ask('GET', `${maps}?limit=2`)).body
    assert.deepEqual([names(first as never), first.metadata.remainingItemCount], [['a', 'b'], 3])
    await server.ask('POST', maps, configMap('bb'))
    await server.ask('DELETE', `${maps}/e`)
    const second = (await server.ask('GET', `${maps}?limit=2&continue=${first.metadata.continue}`)).body
    assert.deepEqual(names(second as never), ['c', 'd'])
    assert.equal(second.metadata.resourceVersion, first.metadata.resourceVersion)
    const third = (await server.ask('GET', `${maps}?limit=2&continue=${second.metadata.continue}`)).body
    assert.deepEqual([names(third as never), third.metadata.continue], [['e'], undefined])
    await server.ask('DELETE', `${maps}/bb`)
    await server.ask('POST', maps, configMap('e', {}, { half: 'second' }))
  })

  it('page with a selector, by what is selected', async () => {
    const first = (await server.ask('GET', `${maps}?limit=2&labelSelector=half%3Dsecond`)).body
    assert.deepEqual([names(first as never), first.metadata.remainingItemCount], [['c', 'd'], undefined])
    const rest = (await server.ask('GET', `${maps}?limit=2&labelSelector=half%3Dsecond&continue=${first.metadata.continue}`)).body
    assert.deepEqual(names(rest as never), ['e'])
  })

  it('of the past are exact, until it is forgotten', async () => {
    const before = (await server.ask('GET', maps)).body
    const { resourceVersion } = before.metadata
    const page = (await server.ask('GET', `${maps}?limit=1`)).body
    await server.ask('POST', maps, configMap('later'))
    const exact = `${maps}?resourceVersion=${resourceVersion}&resourceVersionMatch=Exact`
    assert.deepEqual(names((await server.ask('GET', exact)).body as never), names(before as never))
    // Without a match, a version is a floor; with a limit it is exact.
    const floor = `${maps}?resourceVersion=${resourceVersion}`
    assert.ok(names((await server.ask('GET', floor)).body as never).includes('later'))
    assert.deepEqual(names((await server.ask('GET', `${floor}&limit=500`)).body as never), names(before as never))
    await server.store.compact(await server.store.revision())
    assert.deepEqual([(await server.ask('GET', exact)).code, (await server.ask('GET', exact)).body.reason], [410, 'Expired'])
    const expired = await server.ask('GET', `${maps}?limit=1&continue=${page.metadata.continue}`)
    assert.equal(expired.code, 410)
    const goesOn = await server.ask('GET', `${maps}?limit=1&continue=${expired.body.metadata.continue}`)
    assert.deepEqual(names(goesOn.body as never), ['b'], 'the token in the answer goes on, inconsistently')
    await server.ask('DELETE', `${maps}/later`)
  })

  it('of the future time out', async () => {
    const asked = server.ask('GET', `${maps}?resourceVersion=99999999`)
    await server.clock.advance(3000)
    const { code, body } = await asked
    assert.deepEqual([code, body.reason, body.details.causes[0].reason], [504, 'Timeout', 'ResourceVersionTooLarge'])
  })

  it('refuse nonsense', async () => {
    for (const [query, code] of [
      ['resourceVersion=abc', 400],
      ['resourceVersion=-1', 400],
      ['resourceVersionMatch=Exact', 422],
      ['resourceVersion=1&resourceVersionMatch=Sometimes', 422],
      ['resourceVersion=0&resourceVersionMatch=Exact', 422],
      ['continue=abc', 400],
      ['limit=x', 400],
      ['labelSelector=a%3D%3D%3Db', 400],
      ['fieldSelector=x', 400],
    ] as const) {
      const answer = await server.ask('GET', `${maps}?${query}`)
      assert.deepEqual([query, answer.code, answer.body.kind], [query, code, 'Status'])
    }
  })

  it('are tables for people', async () => {
    await server.ask('POST', '/api/v1/namespaces/test/pods', pod('p'))
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const { body } = await server.ask('GET', '/api/v1/namespaces/test/pods', undefined, { headers: { accept } })
    assert.deepEqual([body.kind, body.apiVersion], ['Table', 'meta.k8s.io/v1'])
    assert.deepEqual(
      body.columnDefinitions.map((c: { name: string; priority: number }) => `${c.name}${c.priority ? '*' : ''}`),
      ['Name', 'Ready', 'Status', 'Restarts', 'Age', 'IP*', 'Node*', 'Nominated Node*', 'Readiness Gates*'],
    )
    assert.deepEqual(body.rows[0].cells, ['p', '0/1', 'Pending', '0', '0s', '<none>', '<none>', '<none>', '<none>'])
    assert.equal(body.rows[0].object.kind, 'PartialObjectMetadata')
    const whole = await server.ask('GET', '/api/v1/namespaces/test/pods?includeObject=Object', undefined, { headers: { accept } })
    assert.equal(whole.body.rows[0].object.spec.containers.length, 1)
    const one = await server.ask('GET', '/api/v1/namespaces/test/pods/p', undefined, { headers: { accept } })
    assert.equal(one.body.rows.length, 1)
  })

  it('are metadata only, YAML or compressed, if that is wanted', async () => {
    const partial = await server.ask('GET', maps, undefined, {
      headers: { accept: 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1' },
    })
    assert.equal(partial.body.kind, 'PartialObjectMetadataList')
    assert.deepEqual(Object.keys(partial.body.items[0]).sort(), ['apiVersion', 'kind', 'metadata'])
    const yaml = await server.ask('GET', `${maps}/a`, undefined, { headers: { accept: 'application/yaml' } })
    assert.match(yaml.text, /^kind: ConfigMap$/m)
    await server.ask('POST', maps, configMap('large', { a: 'x'.repeat(200_000) }))
    const response = await server.open(maps, { headers: { 'accept-encoding': 'gzip' } })
    assert.equal(response.headers.get('content-encoding'), 'gzip')
    const bytes = Buffer.from(await response.arrayBuffer())
    assert.ok(bytes.length < 20_000)
    assert.ok(names(JSON.parse(gunzipSync(bytes).toString())).includes('large'))
  })
})

it('a page of an older revision reads that page, with a selector as much as it has to look through', async (t) => {
  const store = await memoryStore()
  const list = store.list.bind(store)
  let read = 0
  store.list = async (...asked) => {
    const found = await list(...asked)
    read += found.entries.length
    return found
  }
  const server = await trial({ store })
  t.after(async () => {
    await server.close()
    await store.close()
  })
  const all = Array.from({ length: 40 }, (_, i) => `m${String(i).padStart(2, '0')}`)
  for (const [i, name] of all.entries()) await server.ask('POST', maps, configMap(name, {}, { third: String(i % 3) }))
  for (const selector of ['', '&labelSelector=third%3D1']) {
    const expected = all.filter((_, i) => !selector || i % 3 === 1)
    const seen: string[] = []
    const remaining: (number | undefined)[] = []
    let next = ''
    do {
      read = 0
      const { body } = await server.ask('GET', `${maps}?limit=6${selector}${next}`)
      assert.ok(read <= (selector ? 40 : 6), `${read} were read for a page of 6`)
      seen.push(...names(body))
      remaining.push(body.metadata.remainingItemCount)
      next = body.metadata.continue ? `&continue=${body.metadata.continue}` : ''
      // From now on the list's revision is an older one.
      await server.ask('PUT', `${maps}/m00`, configMap('m00', { at: String(seen.length) }, { third: '0' }))
    } while (next)
    assert.deepEqual(seen, expected)
    assert.deepEqual(remaining, selector ? [undefined, undefined, undefined] : [34, 28, 22, 16, 10, 4, undefined])
  }
})
