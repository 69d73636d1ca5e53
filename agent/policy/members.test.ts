import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pick, randomly } from '../ruleset/random.ts'
import { namespace, pod } from './fixtures.ts'
import type { PodPeers } from './meaning.ts'
import { Members } from './members.ts'

const spaces = ['one', 'two', 'three']
const everyone = (): PodPeers => ({ pods: [] }) as unknown as PodPeers

/** Who is where, with which addresses. */
const text = (members: Members): string[] =>
  spaces
    .flatMap((space) => members.select(space, everyone()))
    .map(({ namespace: space, pod, addresses, local }) => `${space}/${pod.metadata.name} ${addresses.ip.join(' ')} ${local ? 'local' : ''}`)
    .sort()

test('told change by change it knows what it would know from all at once, whoever claims whose address', () => {
  const below = randomly(5)
  const members = new Members('here')
  const pods = new Map<string, ReturnType<typeof pod>>()
  const placed = new Map<string, { pod: ReturnType<typeof pod>; ips: string[] }>()
  const addresses = () => Array.from({ length: below(3) }, () => `10.42.0.${below(6)}`)
  for (let step = 0; step < 1500; step += 1) {
    const i = below(9)
    const made = pod(`p${i}`, addresses(), {
      namespace: spaces[i % 3] as string,
      node: pick(below, ['here', 'elsewhere']),
      phase: pick(below, ['Running', 'Running', 'Succeeded']),
      created: `2025-01-0${1 + below(3)}T00:00:00Z`,
    })
    const { uid } = made.metadata
    switch (below(5)) {
      case 0:
        pods.delete(uid)
        members.podChanged(uid, undefined)
        break
      case 1:
        placed.delete(uid)
        members.placedChanged(uid, undefined)
        break
      case 2:
        placed.set(uid, { pod: made, ips: addresses() })
        members.placedChanged(uid, placed.get(uid))
        break
      default:
        pods.set(uid, made)
        members.podChanged(uid, made)
    }
    if (below(2)) continue
    members.refresh()
    const fresh = new Members('here')
    for (const [each, known] of pods) fresh.podChanged(each, known)
    for (const [each, known] of placed) fresh.placedChanged(each, known)
    fresh.refresh()
    assert.deepEqual(text(members), text(fresh), `step ${step}`)
    assert.deepEqual(
      [...members.local].map(({ pod }) => pod.metadata.uid).sort(),
      [...fresh.local].map(({ pod }) => pod.metadata.uid).sort(),
    )
  }
})

test('a change leaves everything alone that it has nothing to do with', () => {
  const members = new Members('here')
  for (const space of ['one', 'two']) members.namespaceChanged(space, namespace(space))
  for (let i = 0; i < 2000; i += 1) {
    const each = pod(`p${i}`, `10.${50 + (i >> 8)}.0.${i & 255}`, { namespace: spaces[i % 2] as string, node: 'elsewhere' })
    members.podChanged(each.metadata.uid, each)
  }
  members.refresh()
  const peers = { one: everyone(), two: everyone() }
  const [one, two] = [members.select('one', peers.one), members.select('two', peers.two)]
  const changed = pod('p0', '10.50.0.0', { namespace: 'one', node: 'elsewhere', labels: { new: 'label' } })
  members.podChanged(changed.metadata.uid, changed)
  members.refresh()
  assert.notEqual(members.select('one', peers.one), one)
  assert.equal(members.select('two', peers.two), two)
  assert.equal(members.select('one', peers.one)[1], one[1])
})
