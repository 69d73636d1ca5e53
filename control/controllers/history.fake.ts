// A random history of a small cluster, the same for the same seed: pods fail, are deleted, become unready; nodes go and
// come back; clocks jump; watches are cut; the controllers are killed at any write, before or after it; and the test
// changes what is wanted. In the end all is well again and time passes: what is then must be what the documentation says.

import { timestamp } from '#api/clock.ts'
import { Node, Pod } from '#api/kinds/index.ts'
import { seeded } from '#api/schema/random.fake.ts'
import { type Harness, harness } from './harness.fake.ts'

export type Random = {
  /** From 0, below `n`. */
  below(n: number): number
  of<T>(items: readonly T[]): T | undefined
}

export type History = {
  seed: number
  steps: number
  nodes: readonly string[]
  /** Before the first step, on nodes that are there. */
  begin(h: Harness): Promise<void>
  /** Changes what is wanted, any way that a user may. */
  change(h: Harness, random: Random): Promise<void>
  /** What is wanted in the end. Just before it, something that cannot work is wanted for a while. */
  settleOn(h: Harness): Promise<unknown>
  spoil(h: Harness): Promise<unknown>
  /** A node that is never found again. */
  gone?: string
  /** After each step. */
  always?(h: Harness): Promise<void>
  end(h: Harness): Promise<void>
}

export async function runHistory({ seed, steps, nodes, gone, ...test }: History): Promise<void> {
  const random = randomOf(seed)
  const told: string[] = []
  await using h = await harness()
  const alive = () => nodes.filter((name) => !h.lost.has(name))
  const pass = async (seconds: number) => {
    for (const name of alive()) {
      const node = await h.client.find(Node, { name })
      // A node that lives says so: also after it was taken for lost.
      if (!node?.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) await recover(h, name)
    }
    await h.beat(...alive())
    await h.clock.advance(seconds * 1000)
  }
  const anyPod = async () => random.of((await h.client.list(Pod)).items)
  let doomed = false

  const events: Record<string, () => Promise<unknown>> = {
    time: () => pass(1 + random.below(35)),
    'time without heartbeats': () => h.clock.advance(random.below(20_000)),
    change: () => test.change(h, random),
    'another change': () => test.change(h, random),
    'a third change': () => test.change(h, random),
    'a fourth change': () => test.change(h, random),
    'a pod fails': async () => {
      const pod = await anyPod()
      if (pod && pod.status.phase === 'Running') h.client.put(Pod, { ...pod, status: { ...pod.status, phase: 'Failed' } })
    },
    'a pod is unready': async () => {
      const pod = await anyPod()
      if (pod) setReady(h, pod, false)
    },
    'a pod is deleted': async () => {
      const pod = await anyPod()
      if (pod) await h.client.delete(Pod, pod.metadata, { gracePeriodSeconds: random.below(2) })
    },
    'a node is lost': async () => {
      const name = random.of(alive())
      if (name && alive().length > 1) h.lost.add(name)
    },
    'a node is back': () => recover(h, random.of([...h.lost])),
    'a clock jumps': async () => h.clock.jump((random.below(3) - 1) * 3_600_000),
    'watches are cut': async () => {
      if (random.below(2)) h.client.compact()
      h.client.disconnect()
    },
    'the controllers die': async () => {
      h.dieAt(1 + random.below(5), random.below(2) === 0)
      doomed = true
    },
    'the controllers are back': async () => {
      if (doomed) await h.restart()
      doomed = false
    },
  }

  try {
    for (const name of nodes) await h.addNode(name)
    await test.begin(h)
    for (let i = 0; i < steps; i++) {
      const name = random.of(Object.keys(events))!
      told.push(name)
      await events[name]!()
      if (random.below(3)) await h.settle()
      await test.always?.(h)
    }
    told.push('all is well')
    if (doomed) await h.restart()
    for (const name of h.lost) await recover(h, name)
    if (gone) h.lost.add(gone)
    await test.spoil(h)
    const passWell = async (seconds: number) => {
      for (const pod of (await h.client.list(Pod)).items) if (!h.sick(pod) && !h.lost.has(pod.spec.nodeName ?? '')) setReady(h, pod, true)
      await pass(seconds)
    }
    for (let i = 0; i < 8; i++) await passWell(10)
    await test.settleOn(h)
    for (let i = 0; i < 40; i++) await passWell(30)
    await test.end(h)
    const before = h.client.writes.length
    for (let i = 0; i < 10; i++) await pass(30)
    const written = h.client.writes.slice(before)
    if (written.length) throw new Error(`at rest, it wrote: ${written.join(', ')}`)
  } catch (error) {
    throw new Error(`seed ${seed}, after: ${told.join('; ')}`, { cause: error })
  }
}

async function recover(h: Harness, name: string | undefined): Promise<void> {
  if (!name) return
  h.lost.delete(name)
  await h.addNode(name)
  for (const pod of (await h.client.list(Pod)).items) {
    if (pod.spec.nodeName !== name) continue
    if (pod.metadata.deletionTimestamp) await h.client.delete(Pod, pod.metadata, { gracePeriodSeconds: 0 })
    else h.client.put(Pod, { ...pod, metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, tended: 'again' } } })
  }
}

function setReady({ client, clock }: Harness, pod: Pod, ready: boolean): void {
  const is = ready ? ('True' as const) : ('False' as const)
  const condition = pod.status.conditions?.find(({ type }) => type === 'Ready')
  if (pod.status.phase !== 'Running' || !condition || condition.status === is) return
  const others = pod.status.conditions?.filter(({ type }) => type !== 'Ready') ?? []
  const conditions = [...others, { type: 'Ready' as const, status: is, lastTransitionTime: timestamp(clock.now()) }]
  client.put(Pod, { ...pod, status: { ...pod.status, conditions } })
}

const randomOf = (seed: number): Random => {
  const random = seeded(seed)
  return { below: (n) => random.below(n), of: (items) => items[random.below(items.length)] }
}
