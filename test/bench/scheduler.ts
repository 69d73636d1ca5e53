// The scheduler: what a decision costs by itself, for clusters of a hundred to thousands of nodes, and what a server
// makes of it.

import { type Figure, figure, quantile } from './figure.ts'
import { boundPods } from './scheduler-bound.ts'
import { decide, loads, preempt, steadyWork } from './scheduler-decisions.ts'

const sizes = [1_000, 100, 5_000]
/** Pods decided upon, after others that warm up and fill the cluster. */
const pods = 3_000
const before = 2_000

export async function* schedulerBench(): AsyncGenerator<Figure> {
  for (const load of loads) {
    let reference: { name: string; value: number } | undefined
    for (const nodes of sizes) {
      const { perSecond, samples } = decide(load, { nodes, pods, before })
      yield figure(`${load.name}, ${nodes} nodes: decisions`, perSecond, '/s', reference)
      const steady = steadyWork(quantile(samples, 0.5), pods)
      yield figure('the same: one decision, p99', quantile(samples, 0.99), 'ms', {
        name: 'work of constant length, p99',
        value: quantile(steady, 0.99),
      })
      reference ??= { name: `${nodes} nodes`, value: perSecond }
    }
  }
  const { found, milliseconds } = preempt({ nodes: 100, victims: 1_000 })
  yield figure(`preemption: ${found} victims found for 100 pods on 100 nodes`, milliseconds, 'ms')
  yield* boundPods({ nodes: 1_000, pods: 2_000 })
}
