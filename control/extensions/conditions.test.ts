import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CustomResourceDefinition, CustomResourceDefinitionNames } from '#api/types/apiextensions-v1.gen.ts'
import { planStatus } from './conditions.ts'
import { acceptNames } from './names.ts'

const names: CustomResourceDefinitionNames = { plural: 'cats', singular: 'cat', kind: 'Cat', listKind: 'CatList', shortNames: ['c'] }
const definition = (status: Partial<CustomResourceDefinition['status']> = {}): CustomResourceDefinition => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'cats.example.com', generation: 3 } as CustomResourceDefinition['metadata'],
  spec: { group: 'example.com', names, scope: 'Namespaced', versions: [] },
  status: { conditions: [], acceptedNames: { plural: '', kind: '' }, storedVersions: [], ...status },
})
const brief = ({ conditions }: CustomResourceDefinition['status']) =>
  conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`)
const now = Date.parse('2025-01-01T00:00:00Z')

describe('the names of a definition', () => {
  const conflicts: [what: string, others: CustomResourceDefinitionNames[], reason: string | undefined, accepted: Partial<typeof names>][] =
    [
      ['are all its own', [{ plural: 'dogs', kind: 'Dog' }], undefined, names],
      ['may be taken as the plural', [{ plural: 'cats', kind: 'Dog' }], 'PluralConflict', { plural: '', kind: 'Cat' }],
      [
        'may be taken as a short name of another',
        [{ plural: 'dogs', kind: 'Dog', shortNames: ['cat'] }],
        'SingularConflict',
        { plural: 'cats', kind: 'Cat' },
      ],
      [
        'may be taken as short names',
        [{ plural: 'cows', kind: 'Cow', shortNames: ['c'] }],
        'ShortNamesConflict',
        { plural: 'cats', kind: 'Cat' },
      ],
      ['may be taken as the kind', [{ plural: 'felines', kind: 'Cat' }], 'KindConflict', { plural: 'cats', kind: '' }],
      ['may be taken as the list', [{ plural: 'cl', kind: 'CatList' }], 'ListKindConflict', { kind: 'Cat' }],
    ]
  for (const [what, others, reason, accepted] of conflicts) {
    it(what, () => {
      const result = acceptNames(definition(), others)
      assert.equal(result.conflict?.reason, reason)
      assert.deepEqual({ ...result.names, ...accepted }, result.names)
    })
  }
})

describe('the status of a definition', () => {
  it('says that it is served, and from when', () => {
    const status = planStatus(definition(), { others: [], now })
    assert.deepEqual(brief(status), ['NamesAccepted=True NoConflicts', 'Established=True InitialNamesAccepted'])
    assert.deepEqual([status.acceptedNames, status.observedGeneration], [names, 3])
    const again = planStatus(definition(status), { others: [], now: now + 60_000 })
    assert.equal(again.conditions[0]?.lastTransitionTime, '2025-01-01T00:00:00Z')
  })

  it('is the very same where nothing changes', () => {
    const { status } = definition(planStatus(definition(), { others: [], now }))
    const settled = { ...definition(), status }
    assert.equal(planStatus(settled, { others: [], now: now + 1000 }), status)
  })

  it('stays served when it asks for a name that it cannot have', () => {
    const served = planStatus(definition(), { others: [], now })
    const status = planStatus(definition(served), { others: [{ plural: 'x', kind: 'X', shortNames: ['c'] }], now })
    assert.deepEqual(brief(status), ['NamesAccepted=False ShortNamesConflict', 'Established=True InitialNamesAccepted'])
  })

  it('follows its end', () => {
    const terminating = (cleanup: { left: number; failure?: string }) =>
      planStatus(definition(), { others: [], cleanup, now }).conditions.at(-1)
    assert.equal(terminating({ left: 2 })?.reason, 'InstanceDeletionInProgress')
    assert.equal(terminating({ left: 0, failure: 'no' })?.reason, 'InstanceDeletionFailed')
    assert.deepEqual([terminating({ left: 0 })?.status, terminating({ left: 0 })?.reason], ['False', 'InstanceDeletionCompleted'])
  })
})
