// A node by its own account, asked through the agent's socket.

import { request } from 'node:http'
import { socketOf } from '#agent/local/local.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { NodePlan } from './plan.ts'

/** Throws where no agent answers. */
export const podsOn = ({ dir }: NodePlan): Promise<Pod[]> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath: socketOf(dir), path: '/pods', host: 'agent', timeout: 5_000 }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve((JSON.parse(Buffer.concat(chunks).toString()) as { items: Pod[] }).items))
    })
    asked.on('timeout', () => asked.destroy(new Error('the agent is silent')))
    asked.on('error', reject)
    asked.end()
  })

export const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false
