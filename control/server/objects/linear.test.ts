// Every step of a write costs time in proportion to what was sent: four times as much takes about four times as
// long, where a step that goes through all for each would take sixteen times. Processor time, and the least of some
// tries, so that a machine that is busy tells the same.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { definition, definitions } from '../custom/resources.fake.ts'
import { configMap, type Json, pod, type Trial, trial } from '../testing/trial.fake.ts'

const maps = '/api/v1/namespaces/test/configmaps'
const list = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i))
const keys = (n: number, make: (i: number) => [string, unknown]): Json => Object.fromEntries(list(n, make))
const withMeta = (metadata: Json) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', ...metadata } })

type Ask = { method?: string; path?: string; body: unknown; type?: string }
/** `size`: of the smaller of two. */
const shapes: Record<string, { size: number; ask: (n: number) => Ask }> = {
  keys: {
    size: 2000,
    ask: (n) => ({
      body: configMap(
        'a',
        keys(n, (i) => [`k${i}`, '']),
      ),
    }),
  },
  labels: { size: 1000, ask: (n) => ({ body: withMeta({ labels: keys(n, (i) => [`k${i}`, 'v']) }) }) },
  annotations: { size: 1000, ask: (n) => ({ body: withMeta({ annotations: keys(n, (i) => [`k${i}`, 'v']) }) }) },
  finalizers: { size: 1000, ask: (n) => ({ body: withMeta({ finalizers: list(n, (i) => `x.io/f${i}`) }) }) },
  owners: {
    size: 1000,
    ask: (n) => ({
      body: withMeta({ ownerReferences: list(n, (i) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: `o${i}`, uid: `u${i}` })) }),
    }),
  },
  managers: {
    size: 300,
    ask: (n) => ({
      body: withMeta({
        managedFields: list(n, (i) => ({
          manager: `m${i}`,
          operation: 'Update',
          apiVersion: 'v1',
          fieldsType: 'FieldsV1',
          fieldsV1: { 'f:data': { [`f:a${i}`]: {} } },
        })),
      }),
    }),
  },
  'managers, sent back': {
    size: 200,
    ask: (n) => ({
      method: 'PUT',
      path: `${maps}/small`,
      body: {
        ...withMeta({
          name: 'small',
          managedFields: list(n, (i) => ({
            manager: `m${i}`,
            operation: 'Update',
            apiVersion: 'v1',
            fieldsType: 'FieldsV1',
            fieldsV1: { 'f:data': { [`f:a${i}`]: {} } },
          })),
        }),
        data: { a: 'c' },
      },
    }),
  },
  'expressions of a selector': {
    size: 400,
    ask: (n) => ({
      path: '/apis/networking.k8s.io/v1/namespaces/test/networkpolicies',
      body: {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'a' },
        spec: { podSelector: { matchExpressions: list(n, (i) => ({ key: `k${i}`, operator: 'In', values: [`v${i}`, 'x', 'y'] })) } },
      },
    }),
  },
  'properties of a schema': {
    size: 200,
    ask: (n) => ({
      path: definitions,
      body: definition('wide', {
        schema: { type: 'object', properties: keys(n, (i) => [`p${i}`, { type: 'string', pattern: `^${i}$` }]) },
      }),
    }),
  },
  'depth of a schema': {
    size: 15,
    ask: (n) => ({
      path: definitions,
      body: definition('deep', {
        schema: list(n, () => 0).reduce<Json>((inner) => ({ type: 'object', properties: { a: inner } }), { type: 'string' }),
      }),
    }),
  },
  'an environment': {
    size: 1000,
    ask: (n) => ({
      path: '/api/v1/namespaces/test/pods',
      body: pod('a', { containers: [{ name: 'c', image: 'b', env: list(n, (i) => ({ name: `E${i}`, value: 'x' })) }] }),
    }),
  },
  'an apply': {
    size: 1000,
    ask: (n) => ({
      method: 'PATCH',
      path: `${maps}/new?fieldManager=a&dryRun=All`,
      type: 'application/apply-patch+yaml',
      body: {
        ...configMap(
          'new',
          keys(n, (i) => [`k${i}`, '']),
        ),
      },
    }),
  },
  'owners in a strategic merge': {
    size: 1000,
    ask: (n) => ({
      method: 'PATCH',
      path: `${maps}/small?dryRun=All`,
      type: 'application/strategic-merge-patch+json',
      body: { metadata: { ownerReferences: list(n, (i) => ({ apiVersion: 'v1', kind: 'ConfigMap', name: `o${i}`, uid: `u${i}` })) } },
    }),
  },
  'operations of a JSON patch': {
    size: 1000,
    ask: (n) => ({
      method: 'PATCH',
      path: `${maps}/small?dryRun=All`,
      type: 'application/json-patch+json',
      body: list(n, (i) => ({ op: 'add', path: `/data/k${i}`, value: '' })),
    }),
  },
  'keys in YAML': {
    // Longer ones are read in a thread, which takes its time to start.
    size: 1200,
    ask: (n) => ({
      type: 'application/yaml',
      body: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n${list(n, (i) => `  k${i}: "x"\n`).join('')}`,
    }),
  },
}

describe('what a request costs grows as it does', () => {
  let server: Trial
  before(async () => {
    server = await trial()
    await server.ask('POST', maps, configMap('small', { a: 'b' }))
  })
  after(() => server.close())

  const cost = async ({ method = 'POST', path = maps, body, type = 'application/json' }: Ask): Promise<number> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const dry = path.includes('?') ? path : `${path}?dryRun=All`
    const before = process.cpuUsage()
    const { code } = await server.ask(method, dry, text, { headers: { 'content-type': type } })
    const { user, system } = process.cpuUsage(before)
    assert.ok(code < 300, String(code))
    return user + system
  }
  const least = async (ask: Ask) => Math.min(await cost(ask), await cost(ask), await cost(ask))

  for (const [name, { size, ask }] of Object.entries(shapes)) {
    it(name, async () => {
      const [small, large] = [await least(ask(size)), await least(ask(4 * size))]
      assert.ok(large < 9 * small + 20_000, `${size}: ${small} µs, ${4 * size}: ${large} µs`)
    })
  }
})
