// How a node becomes part of a cluster: with the join token it finds the right server, has two keys of
// its own certified, and keeps them. After that it needs no token: it has its certificates replaced by showing
// the one that it has: at a start here, while it runs by requests for certificates (identity.ts).

import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { renewBeforeMs } from '#api/x509/renewal.ts'
import { keyRequest } from './request.ts'
import { pinnedAuthority } from './token.ts'

export type KeyPair = { cert: string; key: string }
/** All PEM. `client` speaks for `system:node:<name>`; `serving` is what the agent's own endpoint shows. */
export type NodeCredentials = {
  ca: string
  /** The authority of agents' endpoints: who calls this node's must come from it. */
  agentsCa: string
  client: KeyPair
  serving: KeyPair
}

export type JoinOptions = {
  /** `https://host:port`. */
  server: string
  token: string | undefined
  nodeName: string
  addresses: readonly string[]
  dir: string
  now: () => number
  signal?: AbortSignal
}

/** Throws where no valid credentials are kept and the server cannot be reached or refuses; the caller tries again. */
export async function joinCluster(options: JoinOptions): Promise<NodeCredentials> {
  const kept = await load(fileIn(options.dir))
  if (kept && stillGood(kept, options, renewBeforeMs)) return kept
  const usable = kept && stillGood(kept, options, 0) ? kept : undefined
  if (usable) {
    // It may be long until the next start, but not as long as these still last.
    return await renewed(options, usable).catch(() => usable)
  }
  if (!options.token)
    throw new Error(`node ${options.nodeName} has no valid certificates in ${fileIn(options.dir)} and no join token was given`)
  const { hostname, port } = new URL(options.server)
  const host = hostname.replace(/^\[|\]$/g, '')
  const ca = await pinnedAuthority({
    host,
    port: Number(port || 443),
    token: options.token,
    ...(options.signal && { signal: options.signal }),
  })
  return await certified(options, { ca })
}

/** What this node has joined with, whether it is still good or not. */
export async function keptCredentials({ dir, nodeName }: Pick<JoinOptions, 'dir' | 'nodeName'>): Promise<NodeCredentials | undefined> {
  const kept = await load(fileIn(dir))
  return kept && isOf(kept, nodeName) ? kept : undefined
}

/** From when and until when the cluster takes the node's certificate, milliseconds since the epoch. */
export function periodOf({ client }: NodeCredentials): { from: number; to: number } {
  const { validFrom, validTo } = new X509Certificate(client.cert)
  return { from: Date.parse(validFrom), to: Date.parse(validTo) }
}

const renewed = (options: JoinOptions, { ca, client }: NodeCredentials) => certified(options, { ca, ...client })

type Shown = { ca: string; cert?: string; key?: string }

/** `shown`: the certificate that the node has, if it has one. */
async function certified(options: JoinOptions, shown: Shown): Promise<NodeCredentials> {
  const [client, serving] = await Promise.all([keyRequest(`system:node:${options.nodeName}`), keyRequest(options.nodeName)])
  const answer = await post(options, shown, {
    nodeName: options.nodeName,
    addresses: options.addresses,
    clientCsr: client.csr,
    servingCsr: serving.csr,
  })
  const made: NodeCredentials = {
    ca: shown.ca,
    agentsCa: answer.agentsCa,
    client: { cert: answer.clientCert, key: client.key },
    serving: { cert: answer.servingCert, key: serving.key },
  }
  await keepCredentials(options.dir, made)
  return made
}

const fileIn = (dir: string): string => join(dir, 'credentials.json')

/** A power cut leaves those before or these. */
export async function keepCredentials(dir: string, credentials: NodeCredentials): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await writeFile(`${fileIn(dir)}.new`, JSON.stringify(credentials), { mode: 0o600, flush: true })
  await rename(`${fileIn(dir)}.new`, fileIn(dir))
}

async function load(file: string): Promise<NodeCredentials | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as NodeCredentials
  } catch (error) {
    // A file cut short by a power loss counts as none: joining again replaces it.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The server knows the node by its name, wherever it is: its addresses may have changed since. */
function stillGood(kept: NodeCredentials, { nodeName, now }: JoinOptions, before: number): boolean {
  if (!isOf(kept, nodeName)) return false
  return [kept.client, kept.serving].every(({ cert }) => Date.parse(new X509Certificate(cert).validTo) - now() > before)
}

const isOf = (kept: NodeCredentials, nodeName: string): boolean =>
  Boolean(kept.agentsCa) && new X509Certificate(kept.client.cert).subject.split('\n').includes(`CN=system:node:${nodeName}`)

type Answer = { clientCert: string; servingCert: string; agentsCa: string }

function post(options: JoinOptions, { ca, cert, key }: Shown, body: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      new URL('/coracle/v1/join', options.server),
      {
        method: 'POST',
        ca,
        ...(cert && key && { cert, key }),
        agent: false,
        timeout: 10_000,
        headers: { ...(options.token && { authorization: `Bearer ${options.token}` }), 'content-type': 'application/json' },
        ...(options.signal && { signal: options.signal }),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          if (response.statusCode === 200 || response.statusCode === 201) resolve(JSON.parse(text) as Answer)
          else reject(new Error(`${options.server} refused node ${options.nodeName}: ${messageOf(text) ?? `HTTP ${response.statusCode}`}`))
        })
      },
    )
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${options.server} did not answer within 10 seconds`)))
    outgoing.on('error', reject)
    outgoing.end(JSON.stringify(body))
  })
}

function messageOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { message?: string }).message
  } catch {
    return undefined
  }
}
