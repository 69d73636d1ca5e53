// What a node proves itself with, while it runs: kept in one file, and exchanged by requests for certificates
// (CertificateSigningRequest) that the cluster approves for the node that asks, as the kubelet does it.

import { X509Certificate } from 'node:crypto'
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import { CertificateSigningRequest } from '#api/kinds/index.ts'
import { keyPem, makeKey } from '#api/x509/key.ts'
import { makeRequest, type Wishes } from '#api/x509/request.ts'
import { type KeyPair, keepCredentials, type NodeCredentials } from './join.ts'

export type Identity = {
  readonly current: NodeCredentials
  /** When the first of the certificates ends (wall clock, ms). */
  readonly end: number
  /** Calls back after one was exchanged. */
  on(this: void, changed: () => void): () => void
  /** The node has others by now, e.g. because it has joined anew. */
  replace(credentials: NodeCredentials): Promise<void>
  /** New keys and certificates for both. Throws where the cluster denies them, or says nothing within a quarter of an hour. */
  renew(options: { client: Client; addresses: readonly string[]; signal?: AbortSignal }): Promise<void>
}

const answerWithinMs = 15 * 60_000

type IdentityDeps = { credentials: NodeCredentials; nodeName: string; dir: string; clock: Clock }

export function openIdentity({ credentials, nodeName, dir, clock }: IdentityDeps): Identity {
  let current = credentials
  const listeners = new Set<() => void>()
  const commonName = `system:node:${nodeName}`

  async function exchange(part: Partial<NodeCredentials>): Promise<void> {
    const next = { ...current, ...part }
    await keepCredentials(dir, next)
    current = next
    for (const changed of listeners) changed()
  }

  return {
    replace: exchange,
    get current() {
      return current
    },
    get end() {
      return Math.min(...[current.client, current.serving].map(({ cert }) => Date.parse(new X509Certificate(cert).validTo)))
    },
    on(changed) {
      listeners.add(changed)
      return () => void listeners.delete(changed)
    },
    async renew({ client, addresses, signal }) {
      const ask = (signer: string, usage: 'client auth' | 'server auth', hosts: readonly string[]) =>
        certificateFor({ client, clock, signal }, commonName, { organizations: ['system:nodes'], hosts }, `kubernetes.io/${signer}`, usage)
      // Each counts as soon as it is there: the other may have to wait for somebody to decide.
      await exchange({ client: await ask('kube-apiserver-client-kubelet', 'client auth', []) })
      await exchange({ serving: await ask('kubelet-serving', 'server auth', [nodeName, ...addresses]) })
    },
  }
}

type Asking = { client: Client; clock: Clock; signal?: AbortSignal }

async function certificateFor(
  { client, clock, signal }: Asking,
  commonName: string,
  wishes: Wishes,
  signerName: string,
  usage: 'client auth' | 'server auth',
): Promise<KeyPair> {
  const keys = await makeKey()
  const request = Buffer.from(makeRequest(commonName, keys, wishes)).toString('base64')
  const made = await client.create(
    CertificateSigningRequest,
    { metadata: { generateName: 'node-csr-' }, spec: { request, signerName, usages: ['digital signature', usage] } },
    { signal },
  )
  const given = new AbortController()
  const late = clock.after(answerWithinMs, () => given.abort(new Error(`nobody has decided on ${made.metadata.name} yet`)))
  try {
    const waiting = signal ? AbortSignal.any([signal, given.signal]) : given.signal
    return { cert: await answerTo(client, made, waiting), key: keyPem(keys.privateKey) }
  } finally {
    late.cancel()
  }
}

/** The certificate (PEM) once it is there. */
async function answerTo(client: Client, made: CertificateSigningRequest, signal: AbortSignal): Promise<string> {
  const { name, uid } = made.metadata
  const found = (request: CertificateSigningRequest) => (request.metadata.uid === uid ? certificateIn(request) : undefined)
  for (;;) {
    const request = await client.get(CertificateSigningRequest, { name }, { signal })
    const already = found(request)
    if (already !== undefined) return already
    const { resourceVersion } = request.metadata
    const fieldSelector = `metadata.name=${name}`
    for await (const { type, object } of client.watch(CertificateSigningRequest, { fieldSelector, resourceVersion, signal })) {
      const certificate = type === 'MODIFIED' ? found(object) : undefined
      if (certificate !== undefined) return certificate
      if (type === 'DELETED') throw new Error(`the request for a certificate ${name} was deleted`)
    }
    signal.throwIfAborted()
  }
}

function certificateIn({ metadata, status }: CertificateSigningRequest): string | undefined {
  const refused = status?.conditions?.find(({ type }) => type === 'Denied' || type === 'Failed')
  if (refused) throw new Error(`the request for a certificate ${metadata.name} was refused: ${refused.message || refused.reason}`)
  return status?.certificate ? Buffer.from(status.certificate, 'base64').toString() : undefined
}
