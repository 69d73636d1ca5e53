// Everything the server proves itself with, in one folder: made at the first start, found again after,
// and renewed when it nears its end (also while the server runs) or the server's addresses change.

import { createHash, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Authority, type KeyPair, openAuthority, type Profile, stillGood } from './authority.ts'
import { writeWhole } from './files.ts'

export type Pki = {
  authority: Authority
  /** The API server's own certificate. This pair and those below are exchanged by `renew`: ask for them when they are needed. */
  readonly serving: KeyPair
  /** For agents' own endpoints: the authority of what they show there, and as whom the API server calls them. It vouches for nothing else. */
  agents: { authority: Authority; readonly client: KeyPair }
  /** As whom the API server calls the servers behind it, under an authority (PEM) that vouches for nothing else. */
  frontProxy: { authority: string; readonly client: KeyPair }
  /** The administrator, in `system:masters`. */
  readonly admin: KeyPair
  /** Private key (PEM, EC P-256) that signs service account tokens. */
  serviceAccountKey: string
  /** When the first of the pairs ends (wall clock, ms). */
  readonly end: number
  /** Makes new pairs of those that near their end, or of all. */
  renew(all: boolean): Promise<void>
  /** Calls back after pairs were exchanged. */
  onRenewed(run: () => void): () => void
}

/** The common name that agents accept as the API server. */
export const agentClientName = 'system:coracle-server'

/** The common name under which the API server tells other servers who calls. */
export const frontProxyName = 'front-proxy-client'

export async function openPki({ dir, hosts, now }: { dir: string; hosts: string[]; now: () => number }): Promise<Pki> {
  const [authority, agents, frontAuthority] = await Promise.all([
    openAuthority({ dir, now }),
    openAuthority({ dir: join(dir, 'agents'), now }),
    openAuthority({ dir: join(dir, 'front-proxy'), now }),
  ])
  const pair = async (name: string, profile: Profile, issuer = authority, fresh = false): Promise<KeyPair> => {
    const [cert, key] = await Promise.all([read(join(dir, `${name}.crt`)), read(join(dir, `${name}.key`))])
    if (!fresh && cert && key && stillGood(cert, issuer.cert, { hosts: profile.hosts ?? [], now: now() })) return { cert, key }
    const made = await issuer.issue(profile)
    await writeWhole(join(dir, `${name}.key`), made.key)
    await writeWhole(join(dir, `${name}.crt`), made.cert)
    return made
  }
  const pairs = async (fresh: boolean) => {
    const [serving, agentClient, admin, frontClient] = await Promise.all([
      pair('server', { commonName: 'coracle-server', usage: 'server', hosts }, authority, fresh),
      pair('agents/client', { commonName: agentClientName, usage: 'client' }, agents, fresh),
      pair('admin', { commonName: 'coracle-admin', organizations: ['system:masters'], usage: 'client' }, authority, fresh),
      pair('front-proxy/client', { commonName: frontProxyName, usage: 'client' }, frontAuthority, fresh),
    ])
    return { serving, agentClient, admin, frontClient }
  }
  let current = await pairs(false)
  const listeners = new Set<() => void>()
  const serviceAccountKey = await keep(join(dir, 'service-account.key'), async () => {
    return (await authority.issue({ commonName: 'service-accounts', usage: 'client' })).key
  })
  return {
    authority,
    serviceAccountKey,
    get serving() {
      return current.serving
    },
    get admin() {
      return current.admin
    },
    agents: {
      authority: agents,
      get client() {
        return current.agentClient
      },
    },
    frontProxy: {
      authority: frontAuthority.cert,
      get client() {
        return current.frontClient
      },
    },
    get end() {
      return Math.min(...Object.values(current).map(({ cert }) => Date.parse(new X509Certificate(cert).validTo)))
    },
    async renew(all) {
      current = await pairs(all)
      for (const run of listeners) run()
    },
    onRenewed(run) {
      listeners.add(run)
      return () => void listeners.delete(run)
    },
  }
}

/** What a joining agent is given. It pins the authority by the SHA-256 of its certificate's DER bytes, in hex. */
export function joinTokenOf(authorityCert: string, secret: string): string {
  const der = Buffer.from(authorityCert.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  return `K10${createHash('sha256').update(der).digest('hex')}::${secret}`
}

async function keep(file: string, make: () => Promise<string>): Promise<string> {
  const found = await read(file)
  if (found) return found
  const made = await make()
  await writeWhole(file, made)
  return made
}

async function read(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
