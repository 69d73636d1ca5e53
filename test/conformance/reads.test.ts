// Lists and gets as Kubernetes documents them: what is selected, in which pages, and of which version.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { AppsV1Api, BatchV1Api, CoreV1Api } from '@kubernetes/client-node'
import { type Answer, type Json, testServer } from './server.ts'

const { config, ask } = await testServer()
const core = config.makeApiClient(CoreV1Api)
const namespace = 'default'
const maps = `/api/v1/namespaces/${namespace}/configmaps`
const names = (list: Json): string[] => list.items.map((o: Json) => o.metadata.name)
const refused = ({ code, body }: Answer) => [code, body.reason]

before(async () => {
  for (const [name, labels] of Object.entries<Record<string, string>>({
    a: { tier: 'front', env: 'prod' },
    b: { tier: 'front', env: 'test' },
    c: { tier: 'back', env: 'prod' },
    d: { tier: 'back' },
    e: {},
  })) {
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels: { suite: 'reads', ...labels } } } })
  }
})

describe('label selectors', () => {
  for (const [selector, wanted] of [
    ['tier=front', 'a b'],
    ['tier==front,env!=prod', 'b'],
    ['tier in (front, back)', 'a b c d'],
    ['tier notin (front)', 'c d e'],
    ['env', 'a b c'],
    ['!env', 'd e'],
    ['tier in (back),!env', 'd'],
    ['env notin (prod,test),tier', 'd'],
    ['tier in (none)', ''],
    ['tier!=front', 'c d e'],
  ] as const) {
    it(`${selector} selects ${wanted || 'nothing'}`, async () => {
      const list = await core.listNamespacedConfigMap({ namespace, labelSelector: `suite=reads,${selector}` })
      assert.equal(names(list).join(' '), wanted)
    })
  }

  it('that are none are refused', async () => {
    for (const selector of ['a in b', 'a in (', '=x', 'a=b=c', 'a/b/c=d', 'a in (-)']) {
      assert.deepEqual(refused(await ask('GET', `${maps}?labelSelector=${encodeURIComponent(selector)}`)), [400, 'BadRequest'], selector)
    }
  })
})

describe('field selectors', () => {
  before(async () => {
    const pod = (name: string, spec: object) =>
      core.createNamespacedPod({
        namespace,
        body: { metadata: { name }, spec: { containers: [{ name: 'c', image: 'i' }], nodeSelector: { no: 'where' }, ...spec } },
      })
    await pod('once', { restartPolicy: 'Never', hostNetwork: true, schedulerName: 'other' })
    await pod('ever', { nodeName: 'far' })
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: 'typed' }, type: 'example.com/x' } })
    await core.createNode({ body: { metadata: { name: 'far' }, spec: { unschedulable: true } } })
    const spec = { ports: [{ port: 80 }] }
    await core.createNamespacedService({ namespace, body: { metadata: { name: 'open' }, spec: { ...spec, type: 'NodePort' } } })
    await core.createNamespacedEvent({
      namespace,
      body: {
        metadata: { name: 'seen' },
        involvedObject: { kind: 'Pod', name: 'ever', namespace, fieldPath: 'spec.x' },
        reason: 'Seen',
        type: 'Warning',
        source: { component: 'eye' },
      },
    })
    const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } }
    await config.makeApiClient(AppsV1Api).createNamespacedReplicaSet({
      namespace,
      body: { metadata: { name: 'none' }, spec: { replicas: 0, selector: { matchLabels: { a: 'b' } }, template } },
    })
    await config.makeApiClient(BatchV1Api).createNamespacedJob({
      namespace,
      body: { metadata: { name: 'job' }, spec: { suspend: true, template: { spec: { ...template.spec, restartPolicy: 'Never' } } } },
    })
  })

  for (const [path, selector, wanted] of [
    ['pods', 'spec.nodeName=far', 'ever'],
    ['pods', 'spec.nodeName=', 'once'],
    ['pods', 'spec.restartPolicy=Never', 'once'],
    ['pods', 'spec.schedulerName!=other', 'ever'],
    ['pods', 'spec.hostNetwork=true', 'once'],
    ['pods', 'spec.serviceAccountName=default', 'ever once'],
    ['pods', 'status.phase=Pending,metadata.name!=ever', 'once'],
    ['pods', 'status.podIP=', 'ever once'],
    ['pods', 'status.nominatedNodeName=', 'ever once'],
    ['secrets', 'type=example.com/x', 'typed'],
    ['services', 'spec.type=NodePort', 'open'],
    ['services', 'spec.clusterIP!=None,metadata.name=kubernetes', 'kubernetes'],
    ['events', 'involvedObject.kind=Pod,involvedObject.name=ever,involvedObject.namespace=default,reason=Seen', 'seen'],
    ['events', 'type=Warning,source=eye,involvedObject.fieldPath=spec.x', 'seen'],
    ['/api/v1/nodes', 'spec.unschedulable=true', 'far'],
    ['/api/v1/namespaces', 'status.phase=Active,metadata.name=default', 'default'],
    ['/apis/apps/v1/replicasets', 'status.replicas=0', 'none'],
    ['/apis/batch/v1/jobs', 'status.successful=0', 'job'],
  ] as const) {
    it(`${path} by ${selector}`, async () => {
      const place = path.startsWith('/') ? path : `/api/v1/namespaces/${namespace}/${path}`
      const { code, body, text } = await ask('GET', `${place}?fieldSelector=${encodeURIComponent(selector)}`)
      assert.equal(code, 200, text)
      assert.equal(names(body).join(' '), wanted)
    })
  }

  it('of a field that the kind does not offer are refused', async () => {
    const { code, body } = await ask('GET', `${maps}?fieldSelector=data.x%3Dy`)
    assert.deepEqual([code, body.reason, body.message], [400, 'BadRequest', 'field label not supported: data.x'])
  })
})

describe('pages', () => {
  it('are of one revision, count what remains, and end', async () => {
    const page = async (token = '') =>
      (await ask('GET', `${maps}?labelSelector=suite%3Dreads&limit=2${token && `&continue=${encodeURIComponent(token)}`}`)).body
    const first = await page()
    assert.deepEqual(names(first), ['a', 'b'])
    await core.deleteNamespacedConfigMap({ namespace, name: 'e' })
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'bb', labels: { suite: 'reads' } } } })
    const second = await page(first.metadata.continue)
    const third = await page(second.metadata.continue)
    assert.deepEqual([names(second), names(third)], [['c', 'd'], ['e']])
    const { resourceVersion } = first.metadata
    assert.deepEqual([second.metadata.resourceVersion, third.metadata.resourceVersion], [resourceVersion, resourceVersion])
    assert.equal(third.metadata.continue, undefined)
    // Without a selector the rest is counted.
    const { items } = await core.listNamespacedConfigMap({ namespace })
    const counted = await core.listNamespacedConfigMap({ namespace, limit: 1 })
    assert.equal(counted.metadata?.remainingItemCount, items.length - 1)
  })

  it('go on only as they began', async () => {
    const token = (await ask('GET', `${maps}?limit=1`)).body.metadata.continue
    assert.deepEqual(refused(await ask('GET', `${maps}?limit=1&continue=${token}&resourceVersion=5`)), [400, 'BadRequest'])
    assert.deepEqual(refused(await ask('GET', `${maps}?limit=1&continue=nonsense`)), [400, 'BadRequest'])
  })
})

describe('resourceVersion and resourceVersionMatch of a list', () => {
  let past = ''
  before(async () => {
    past = (await core.listNamespacedConfigMap({ namespace })).metadata?.resourceVersion ?? ''
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'newer' } } })
  })
  const list = (query: string) => ask('GET', `${maps}?${query.replace('PAST', past)}`)

  for (const [query, newer] of [
    ['', true],
    ['resourceVersion=0', true],
    ['resourceVersion=PAST', true],
    ['resourceVersion=PAST&resourceVersionMatch=NotOlderThan', true],
    ['resourceVersion=0&resourceVersionMatch=NotOlderThan', true],
    ['resourceVersion=PAST&resourceVersionMatch=Exact', false],
    // As it always was: with a limit, a version without a match is exact.
    ['resourceVersion=PAST&limit=500', false],
    ['resourceVersion=PAST&resourceVersionMatch=Exact&limit=500', false],
    ['resourceVersion=PAST&resourceVersionMatch=NotOlderThan&limit=500', true],
  ] as const) {
    it(`${query || 'neither'}: ${newer ? 'what there is now' : 'what there was then'}`, async () => {
      const { code, body, text } = await list(query)
      assert.equal(code, 200, text)
      assert.equal(names(body).includes('newer'), newer)
      assert.ok(newer ? Number(body.metadata.resourceVersion) > Number(past) : body.metadata.resourceVersion === past)
    })
  }

  for (const query of [
    'resourceVersionMatch=Exact',
    'resourceVersionMatch=NotOlderThan',
    'resourceVersion=0&resourceVersionMatch=Exact',
    'resourceVersion=1&resourceVersionMatch=Nearly',
  ]) {
    it(`${query} makes no sense`, async () => assert.deepEqual(refused(await list(query)), [422, 'Invalid']))
  }

  it('of a version yet to come: a timeout that says so', async () => {
    const { code, body } = await list('resourceVersion=999999999')
    assert.deepEqual([code, body.reason, body.details.causes[0].reason], [504, 'Timeout', 'ResourceVersionTooLarge'])
    assert.ok(body.details.retryAfterSeconds >= 1)
  })
})

describe('resourceVersion of a get', () => {
  it('is a floor', async () => {
    const { metadata } = await core.readNamespacedConfigMap({ namespace, name: 'a' })
    for (const version of ['', '0', '1', metadata?.resourceVersion]) {
      const { body } = await ask('GET', `${maps}/a?resourceVersion=${version}`)
      assert.equal(body.metadata?.resourceVersion, metadata?.resourceVersion, `at least ${version}`)
    }
    assert.deepEqual(refused(await ask('GET', `${maps}/a?resourceVersion=x`)), [400, 'BadRequest'])
    assert.deepEqual(refused(await ask('GET', `${maps}/absent`)), [404, 'NotFound'])
  })
})
