// A control plane without nodes, as a process of its own: what the client suites ask. Its folder and
// its process are gone after the last test of the file.

import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { KubeConfig } from '@kubernetes/client-node'
import { loadKubeconfig } from '#api/client/kubeconfig.ts'
import { startControlPlane } from '../cluster/control-plane.ts'
import { atEnd } from '../cluster/ending.ts'
import { type Kubectl, kubectlFor, kubectls } from '../cluster/kubectl.ts'

/** Whatever a test expects to find there. */
export type Json = ReturnType<typeof JSON.parse>
export type Answer = { code: number; body: Json; text: string; bytes: Buffer; headers: Record<string, string | string[] | undefined> }

export type TestServer = {
  kubeconfig: string
  /** For @kubernetes/client-node. */
  config: KubeConfig
  /** The newest kubectl found. */
  kubectl: Kubectl
  /** The oldest and the newest. */
  kubectls: Kubectl[]
  /** As the administrator; `body` as JSON unless it is text or bytes. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  /** The events of a watch as they come, until the server or the caller ends it. */
  watch(path: string, headers?: Record<string, string>): AsyncGenerator<Json>
}

/** Call at the top of a test file. */
export async function testServer(): Promise<TestServer> {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-conformance-'))
  const controlPlane = await startControlPlane({ dir, slot: 3 })
  atEnd(() => controlPlane[Symbol.asyncDispose]())
  const { plan } = controlPlane
  const { ask, watch } = await asker(plan.kubeconfig)
  const config = new KubeConfig()
  config.loadFromFile(plan.kubeconfig)
  const found = kubectls()
  const ends = [...new Set([found[0], found.at(-1)])].filter((program) => program !== undefined)
  const both = ends.map((program) => kubectlFor(plan.kubeconfig, program))
  return { kubeconfig: plan.kubeconfig, config, kubectl: both.at(-1) as Kubectl, kubectls: both, ask, watch }
}

async function asker(kubeconfig: string): Promise<Pick<TestServer, 'ask' | 'watch'>> {
  const { server, credentials } = await loadKubeconfig(kubeconfig)
  const { ca, cert, key } = credentials
  const agent = new Agent({ keepAlive: true, ca, ...(cert && { cert }), ...(key && { key }) })
  atEnd(() => agent.destroy())
  const ask: TestServer['ask'] = (method, path, body, headers = {}) =>
    new Promise((resolve, reject) => {
      const text = body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
      const outgoing = request(
        new URL(path, server),
        {
          method,
          agent,
          headers: {
            ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const bytes = Buffer.concat(chunks)
            const answer = bytes.toString()
            const isJson = response.headers['content-type']?.startsWith('application/json') && !response.headers['content-encoding']
            resolve({
              code: response.statusCode ?? 0,
              body: isJson && answer ? JSON.parse(answer) : {},
              text: answer,
              bytes,
              headers: response.headers,
            })
          })
        },
      )
      outgoing.on('error', reject)
      outgoing.end(text)
    })
  async function* watch(path: string, headers = {}) {
    const outgoing = request(new URL(path, server), { agent, headers })
    outgoing.end()
    const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
    try {
      for await (const line of createInterface(response)) yield JSON.parse(line)
    } finally {
      response.destroy()
    }
  }
  return { ask, watch }
}
