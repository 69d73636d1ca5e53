import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Pod } from '#api/kinds/index.ts'
import type { ResourceQuota } from '#api/types/core-v1.gen.ts'
import { Book } from './book.ts'
import { isInScope, type Measured, measure } from './measure.ts'

const quota = (name: string, spec: ResourceQuota['spec']) => ({ metadata: { name }, spec }) as ResourceQuota
const pod = (milli: number, more: object = {}) =>
  measure(Pod, { spec: { containers: [{ name: 'c', resources: { requests: { cpu: `${milli}m` } } }], ...more } } as unknown as Pod)

/** Mulberry32: the same run every time. */
function randoms(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

it('the sums of a book are those of what is in it, whatever happens', () => {
  const random = randoms(1)
  const quotas = [
    quota('all', { hard: { pods: '9', cpu: '2' } }),
    quota('short', { hard: { pods: '9', 'requests.cpu': '1' }, scopes: ['Terminating'] }),
    quota('weak', { hard: { pods: '9' }, scopes: ['BestEffort'] }),
  ]
  const book = new Book()
  const there = new Map<string, Measured>()
  const open: [key: string, measured: Measured, before: Measured | undefined][] = []
  for (let step = 0; step < 3000; step += 1) {
    const key = `pod${random(6)}`
    const measured = pod(random(3) * 250, random(2) ? { activeDeadlineSeconds: 5 } : {})
    const each = quotas[random(quotas.length)] as ResourceQuota
    switch (random(5)) {
      case 0:
        book.enter(key, undefined)
        there.delete(key)
        break
      case 1:
        book.enter(key, measured)
        there.set(key, measured)
        break
      case 2:
        // One writer at a time wins an object; the others take back what they promised.
        if (!open.some(([other]) => other === key)) open.push([key, measured, book.promise(key, measured)])
        break
      case 3: {
        const [promise] = open.splice(random(Math.max(open.length, 1)), 1)
        if (promise) book.takeBack(...promise)
        break
      }
      default:
        book.limit(each.metadata.name, random(4) ? each : undefined)
    }
    const promised = new Map(book.promises())
    const now = [...new Map([...there, ...promised])].map(([, value]) => value)
    for (const { metadata, spec } of book.quotas) {
      const own = now.filter((value) => isInScope(quota(metadata.name, spec), value))
      const sum = (name: string): number => {
        let total = 0
        for (const { amounts } of own) total += Number(amounts.get(name)?.nano ?? 0n) / 1e9
        return total
      }
      const numbers = (text: string): number => (text.endsWith('m') ? Number.parseInt(text, 10) / 1000 : Number(text))
      const used = book.used(metadata.name) ?? {}
      for (const name of Object.keys(spec.hard ?? {})) assert.equal(numbers(used[name] ?? ''), sum(name), `step ${step}, ${metadata.name}`)
    }
  }
})

it('a pod takes the most that it needs at once', () => {
  const container = (name: string, cpu: string, more: object = {}) => ({ name, resources: { requests: { cpu } }, ...more })
  const spec = {
    initContainers: [container('side', '100m', { restartPolicy: 'Always' }), container('setup', '700m')],
    containers: [container('a', '200m'), container('b', '300m')],
    overhead: { cpu: '50m' },
  }
  const cpu = (object: object) => measure(Pod, { spec: object } as unknown as Pod).amounts.get('requests.cpu')?.nano
  assert.equal(cpu(spec), 850_000_000n, 'setup beside side, and the overhead')
  assert.equal(cpu({ ...spec, initContainers: spec.initContainers.slice(0, 1) }), 650_000_000n)
})
