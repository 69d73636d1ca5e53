// `coracle node pods|logs|exec`: the pods of this machine by its agent's own account, through the agent's socket,
// whether or not the cluster can be reached.

import { httpRequest } from '#agent/http.ts'
import { socketOf } from '#agent/local/local.ts'
import type { Status } from '#api/errors.ts'
import { summarize } from '#api/kinds/rules/pod-columns.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'

type Where = { dataDir: string }
type Of = Where & { namespace: string; container?: string }

export async function printPods({ dataDir, output, namespace }: Where & { output: 'table' | 'json'; namespace?: string }): Promise<void> {
  const list = await podsOf({ dataDir })
  const items = list.items.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
  if (output === 'json') {
    console.log(JSON.stringify({ ...list, items }, null, 2))
    return
  }
  const rows = items.map((pod) => {
    const { ready, total, status, restarts } = summarize(pod)
    const { namespace = '', name } = pod.metadata
    return [namespace, name, `${ready}/${total}`, status, String(restarts), pod.status?.podIP ?? '<none>']
  })
  const table = [['NAMESPACE', 'NAME', 'READY', 'STATUS', 'RESTARTS', 'IP'], ...rows.toSorted((a, b) => (a.join() < b.join() ? -1 : 1))]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  for (const row of table)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('   ')
        .trimEnd(),
    )
}

export type LogsOptions = Of & { follow?: boolean; previous?: boolean; timestamps?: boolean; tail?: number }

export async function printLogs(name: string, options: LogsOptions): Promise<void> {
  const { dataDir, namespace, follow, previous, timestamps, tail } = options
  const query = new URLSearchParams()
  for (const [key, value] of Object.entries({ follow, previous, timestamps })) if (value) query.set(key, 'true')
  if (tail !== undefined) query.set('tailLines', String(tail))
  const container = await containerOf(name, options)
  const path = ['/containerLogs', namespace, name, container].map((part, i) => (i === 0 ? part : encodeURIComponent(part))).join('/')
  for await (const chunk of await ask(dataDir, `${path}?${query.toString()}`)) if (!process.stdout.write(chunk)) await drained()
}

const drained = () => new Promise<void>((resolve) => process.stdout.once('drain', resolve))

/** Of a container that was not named, the pod's only one, or its first. */
export async function containerOf(name: string, { dataDir, namespace, container }: Of): Promise<string> {
  const { items } = await podsOf({ dataDir })
  const pod = items.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace)
  if (!pod) throw new Error(`pods "${name}" not found on this node in namespace ${namespace}`)
  return container ?? pod.spec.containers[0]?.name ?? ''
}

async function podsOf({ dataDir }: Where): Promise<{ items: Pod[] }> {
  const chunks: Buffer[] = []
  for await (const chunk of await ask(dataDir, '/pods')) chunks.push(chunk)
  return JSON.parse(Buffer.concat(chunks).toString()) as { items: Pod[] }
}

/** Throws what the agent's Status says, or that there is no agent. */
async function ask(dataDir: string, path: string): Promise<AsyncIterable<Buffer>> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath: socketOf(dataDir), path, host: 'agent' }, (response) => {
      if (response.statusCode === 200) return resolve(response as AsyncIterable<Buffer>)
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => reject(new Error((JSON.parse(Buffer.concat(chunks).toString()) as Status).message)))
    })
    request.on('error', (cause) => reject(noAgent(dataDir, cause)))
    request.end()
  })
}

export const noAgent = (dataDir: string, cause: unknown): Error =>
  new Error(`no agent answers at ${socketOf(dataDir)}: is it running, with this --data-dir, and are you root?`, { cause })
