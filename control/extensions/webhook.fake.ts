// A webhook for tests: a real HTTPS server whose answers the test decides.

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseExact } from '#api/schema/exact.ts'
import { openPki } from '#control/pki/pki.ts'

/** Whatever a webhook is sent or answers. */
type Json = ReturnType<typeof JSON.parse>

/** Of an AdmissionReview: the response, to which the id of the request is added. */
export type Decide = (request: Json) => Json

export type WebhookServer = {
  port: number
  /** Base64, for clientConfig. */
  caBundle: string
  url(path: string): string
  /** By path. */
  decide: Map<string, Decide>
  /** What else it does, by path. */
  serve: Map<string, (response: ServerResponse, request: IncomingMessage) => void>
  /** Every request so far, with its path. */
  asked: { path: string; request: Json; review: Json }[]
  /** Connections that were opened. */
  connections: number
  close(): Promise<void>
}

export async function webhookServer(...names: string[]): Promise<WebhookServer> {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-webhook-'))
  const pki = await openPki({ dir, hosts: ['127.0.0.1', ...names], now: Date.now })
  const { cert, key } = pki.serving
  const server = createServer({ cert, key }, (request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const made: WebhookServer = {
    port,
    caBundle: Buffer.from(pki.authority.cert).toString('base64'),
    url: (path) => `https://127.0.0.1:${port}${path}`,
    decide: new Map(),
    serve: new Map(),
    asked: [],
    connections: 0,
    async close() {
      server.close()
      server.closeAllConnections()
      await rm(dir, { recursive: true })
    },
  }
  server.on('connection', () => {
    made.connections += 1
  })
  return made

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const review: Json = parseExact(Buffer.concat(chunks).toString())
    const path = new URL(request.url ?? '/', 'https://webhook').pathname
    made.asked.push({ path: request.url ?? '', request: review.request, review })
    const serve = made.serve.get(path)
    if (serve) return serve(response, request)
    const decided = made.decide.get(path)?.(review.request) ?? { allowed: true }
    const { kind, apiVersion } = review
    response.end(JSON.stringify({ kind, apiVersion, response: { uid: review.request.uid, ...decided } }))
  }
}

/** `operations`: as JSON unless they are text. */
export const patching = (operations: Json): Json => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(typeof operations === 'string' ? operations : JSON.stringify(operations)).toString('base64'),
})
