// From nothing running to every node Ready, everything installed: what `make up` takes when it is warm.

import { spawnSync } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { down, up } from '../cluster/cluster.ts'
import { images } from './cluster.ts'
import { type Figure, figure, quantile } from './figure.ts'

const root = resolve(import.meta.dirname, '../..')

export async function* upBench(): AsyncGenerator<Figure> {
  for (const nodes of [1, 3]) {
    const samples: number[] = []
    const references: number[] = []
    for (let i = 0; i < 4; i += 1) {
      const dir = await mkdtemp(join(root, '.coracle/bench-'))
      const started = performance.now()
      spawnSync('make', ['-s', '-C', root, 'deps', 'images']) // what `make up` does before it starts anything
      await up({ dir, nodes, slot: 9, images })
      if (i > 0) samples.push((performance.now() - started) / 1000)
      await down(dir)
      references.push(twoBareNodes())
    }
    yield figure(`make up, warm, ${nodes} node(s) Ready`, quantile(samples, 0.5), 's', {
      name: 'two bare Node processes',
      value: quantile(references, 0.5),
    })
  }
}

/** Seconds to start and end two Node processes that do nothing, one after the other. */
function twoBareNodes(): number {
  const started = performance.now()
  for (let i = 0; i < 2; i += 1) spawnSync(process.execPath, ['--eval', '0'])
  return (performance.now() - started) / 1000
}
