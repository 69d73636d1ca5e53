// `make up [NODES=n]`

import { copyFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { recorded, up } from './cluster.ts'

const root = resolve(import.meta.dirname, '../..')
const { values } = parseArgs({ options: { nodes: { type: 'string', default: '1' } } })
const state = join(root, '.coracle')
const dir = join(state, 'cluster')
const before = performance.now()

try {
  if (process.getuid?.() !== 0) throw new Error('a cluster needs root: network namespaces, mounts, cgroups')
  const existed = await recorded(dir)
  const images = ['busybox', 'pause'].map((name) => join(state, `images/${name}.tar`))
  const plan = await up({ dir, nodes: Number(values.nodes), images: existed ? [] : images })
  const kubeconfig = join(state, 'kubeconfig')
  await copyFile(plan.kubeconfig, kubeconfig)
  const seconds = ((performance.now() - before) / 1000).toFixed(1)
  console.log(`${plan.nodes.length} node(s) Ready after ${seconds} s.

  export KUBECONFIG=${relative(process.cwd(), kubeconfig) === '.coracle/kubeconfig' ? '$PWD/.coracle/kubeconfig' : kubeconfig}
  kubectl get nodes
  kubectl apply -f examples/hello.yaml

Logs are in .coracle/cluster/logs; 'make down' removes everything.`)
} catch (error) {
  for (let at: unknown = error; at instanceof Error; at = at.cause) console.error(`make up: ${at.message}`)
  process.exitCode = 1
}
