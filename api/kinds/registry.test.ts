// What holds for every kind, whatever a client sends.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decode } from '../schema/decode.ts'
import { randomObject, seeded } from '../schema/random.fake.ts'
import { applyDefaults, schemaFor } from './check.fake.ts'
import { apiVersionOf, type KubeObject } from './kind.ts'
import { builtinKinds } from './registry.ts'
import { Faults } from './rules/faults.ts'

const rounds = 30

describe('every kind', () => {
  it('has a place of its own', () => {
    const names = builtinKinds.map(({ kind }) => `${apiVersionOf(kind)}/${kind.plural}`)
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) < i),
      [],
    )
    for (const { kind, singular, shortNames = [] } of builtinKinds) {
      assert.equal(singular, kind.kind.toLowerCase())
      const others = builtinKinds.filter((other) => other.kind.kind !== kind.kind)
      for (const name of shortNames) assert.ok(!others.some((o) => o.shortNames?.includes(name)), `${name} is short for one kind only`)
    }
  })

  it('is in `kubectl get all` as Kubernetes has it', () => {
    const all = builtinKinds.filter((spec) => spec.categories?.includes('all')).map(({ kind }) => kind.plural)
    assert.deepEqual([...new Set(all)].sort(), [
      'cronjobs',
      'daemonsets',
      'deployments',
      'horizontalpodautoscalers',
      'jobs',
      'pods',
      'replicasets',
      'replicationcontrollers',
      'services',
      'statefulsets',
    ])
  })

  for (const spec of builtinKinds) {
    const { kind } = spec
    it(`${apiVersionOf(kind)} ${kind.kind} judges whatever there may be, and its defaults settle`, () => {
      const schema = schemaFor(spec)
      const random = seeded(kind.kind.length * 31 + kind.group.length)
      let previous: KubeObject | undefined
      for (let round = 0; round < rounds; round += 1) {
        const metadata = { name: 'one', namespace: 'test', uid: 'u', creationTimestamp: '2024-01-01T00:00:00Z' }
        const input = { ...randomObject(schema, random, round % 8), apiVersion: apiVersionOf(kind), kind: kind.kind, metadata }
        const object = decode(schema, input).object as unknown as KubeObject
        applyDefaults(spec, object)
        if (round % 2) spec.prepareCreate?.(object)
        else if (previous) spec.prepareUpdate?.(object, previous, round % 4 ? '' : 'status')
        applyDefaults(spec, object)
        const settled = structuredClone(object)
        applyDefaults(spec, object)
        assert.deepEqual(object, settled, 'defaults of what has its defaults')
        const again = structuredClone(object)
        const faults = new Faults()
        spec.validate?.(object, faults)
        if (previous) spec.validateUpdate?.(object, previous, faults, '')
        for (const fault of faults.list) assert.ok(fault.field && fault.message && fault.reason)
        assert.deepEqual(object, again, 'judging changes nothing')
        for (const { name, cell } of spec.columns) assert.ok(cell(object, 0) !== undefined, name)
        for (const field of Object.values(spec.fields ?? {})) if (!spec.converts) assert.equal(typeof field(object), 'string')
        previous = object
      }
    })
  }
})
