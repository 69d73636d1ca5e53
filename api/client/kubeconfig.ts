// kubectl's configuration file, as far as a program of ours needs it: where the server is and who we are.
// Exec and auth-provider plugins are for people at a terminal and are refused.

import { readFile } from 'node:fs/promises'
import * as path from 'node:path'
import { StatusError } from '../errors.ts'
import type { Credentials } from './connection.ts'

export type Target = { server: string; credentials: Credentials; namespace?: string }

type Cluster = {
  server?: string
  'certificate-authority'?: string
  'certificate-authority-data'?: string
  'tls-server-name'?: string
  'insecure-skip-tls-verify'?: boolean
}
type User = {
  'client-certificate'?: string
  'client-certificate-data'?: string
  'client-key'?: string
  'client-key-data'?: string
  token?: string
  tokenFile?: string
  exec?: unknown
  'auth-provider'?: unknown
}
type File = {
  'current-context'?: string
  clusters?: { name: string; cluster: Cluster }[]
  users?: { name: string; user: User }[]
  contexts?: { name: string; context: { cluster: string; user: string; namespace?: string } }[]
}

/** Reads `file`; files it names are relative to its folder. */
export async function loadKubeconfig(file: string, context?: string): Promise<Target> {
  const text = await readFile(file, 'utf8')
  const config = await parse(text, file)
  const fail = (message: string) => new StatusError('BadRequest', `${file}: ${message}`)

  const name = context ?? config['current-context']
  const chosen = config.contexts?.find((c) => c.name === name)?.context
  if (!chosen) throw fail(name ? `no context ${JSON.stringify(name)}` : 'no current context')
  const cluster = config.clusters?.find((c) => c.name === chosen.cluster)?.cluster
  if (!cluster?.server) throw fail(`no server for cluster ${JSON.stringify(chosen.cluster)}`)
  const user = config.users?.find((u) => u.name === chosen.user)?.user ?? {}
  if (user.exec || user['auth-provider'])
    throw fail(`user ${JSON.stringify(chosen.user)} signs in through a plugin, which is not supported`)

  const content = async (data?: string, at?: string): Promise<Buffer | undefined> => {
    if (data) return Buffer.from(data, 'base64')
    return at ? await readFile(path.resolve(path.dirname(file), at)) : undefined
  }
  const token = user.token ?? (await content(undefined, user.tokenFile))?.toString().trim()
  const credentials: Credentials = {
    ca: await content(cluster['certificate-authority-data'], cluster['certificate-authority']),
    cert: await content(user['client-certificate-data'], user['client-certificate']),
    key: await content(user['client-key-data'], user['client-key']),
    token,
    serverName: cluster['tls-server-name'],
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'],
  }
  return { server: cluster.server, credentials, ...(chosen.namespace && { namespace: chosen.namespace }) }
}

async function parse(text: string, file: string): Promise<File> {
  try {
    if (text.trimStart().startsWith('{')) return JSON.parse(text) as File
    // Loaded only here: an agent whose file is JSON never pays for it.
    const { parseYaml } = await import('../yaml/yaml.ts')
    const found = parseYaml(text) as File | null
    return found ?? {}
  } catch (cause) {
    throw new StatusError('BadRequest', `${file} is not a kubeconfig`, undefined, { cause })
  }
}
