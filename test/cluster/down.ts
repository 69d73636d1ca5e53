// `make down`

import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { down } from './cluster.ts'

const state = resolve(import.meta.dirname, '../../.coracle')
try {
  await down(join(state, 'cluster'))
  await rm(join(state, 'kubeconfig'), { force: true })
} catch (error) {
  const causes = error instanceof AggregateError ? error.errors : [error]
  for (const cause of causes) console.error(`make down: ${cause instanceof Error ? cause.message : String(cause)}`)
  process.exitCode = 1
}
