// registries.yaml, in the form k3s users know: mirrors to try before a registry, credentials and TLS for each host.
//
//   mirrors:
//     docker.io: { endpoint: ["https://mirror.example:5000"] }
//   configs:
//     "mirror.example:5000":
//       auth: { username: u, password: p }
//       tls: { ca_file: /etc/ssl/ca.crt, insecure_skip_verify: false }

import { readFile } from 'node:fs/promises'
import type { TlsOptions } from './http.ts'
import type { Credentials } from './images.ts'
import type { Reference } from './reference.ts'
import { flag, list, optional, record, type Shaped, strictObject, text } from './shape.ts'

const mirror = strictObject({ endpoint: optional(list(text)), rewrite: optional(record(text)) })
const login = strictObject({ username: optional(text), password: optional(text), auth: optional(text), identity_token: optional(text) })
const tlsFiles = strictObject({
  ca_file: optional(text),
  cert_file: optional(text),
  key_file: optional(text),
  insecure_skip_verify: optional(flag),
})
const schema = strictObject({
  mirrors: optional(record(optional(mirror))),
  configs: optional(record(optional(strictObject({ auth: optional(login), tls: optional(tlsFiles) })))),
})

type Config = Shaped<typeof schema>

export type Endpoint = {
  /** Up to and without `/v2/`. */
  base: URL
  /** Path of the repository there. */
  repository: string
  credentials?: Credentials
  tls: TlsOptions
}

export interface Registries {
  /** Where to ask for an image, in order: mirrors, then the registry itself. */
  endpoints(reference: Reference): Promise<Endpoint[]>
}

/** Without `file`, or if it does not exist: every registry as it is. Throws with the file's name for one that is wrong. */
export async function readRegistries(file: string | undefined): Promise<Registries> {
  const content = file === undefined ? undefined : await readFile(file, 'utf8').catch(ifAbsent)
  if (content === undefined) return registries({})
  // Loaded only here: most nodes have no such file.
  const { parseYaml } = await import('#api/yaml/yaml.ts')
  try {
    return registries(optional(schema)(parseYaml(content) ?? undefined, 'it') ?? {})
  } catch (error) {
    throw new Error(`${file} is not a registries configuration`, { cause: error })
  }
}

function registries(config: Config): Registries {
  const toEndpoint = async (base: URL, repository: string): Promise<Endpoint> => {
    const settings = config.configs?.[base.host]
    return { base, repository, credentials: credentials(settings?.auth), tls: await tls(settings?.tls) }
  }
  return {
    async endpoints({ domain, path }) {
      const mirror = config.mirrors?.[domain] ?? config.mirrors?.['*']
      const found: Endpoint[] = []
      for (const text of mirror?.endpoint ?? []) found.push(await toEndpoint(baseOf(text), rewrite(path, mirror?.rewrite ?? {})))
      const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain
      const plain = isLoopback(host) && !config.configs?.[host]?.tls
      const own = await toEndpoint(new URL(`${plain ? 'http' : 'https'}://${host}/`), path)
      own.credentials ??= credentials(config.configs?.[domain]?.auth)
      if (!found.some((endpoint) => endpoint.base.href === own.base.href)) found.push(own)
      return found
    },
  }
}

/** Docker's rule: a registry on this machine needs no TLS. */
const isLoopback = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/.test(host)

function baseOf(endpoint: string): URL {
  const url = new URL(endpoint.includes('://') ? endpoint : `https://${endpoint}`)
  url.pathname = `${url.pathname.replace(/\/(v2\/?)?$/, '')}/`
  return url
}

/** The first pattern that fits, as k3s does; `$1` refers to its groups. */
function rewrite(path: string, patterns: Record<string, string>): string {
  for (const [pattern, replacement] of Object.entries(patterns)) {
    const expression = new RegExp(pattern)
    if (expression.test(path)) return path.replace(expression, replacement)
  }
  return path
}

function credentials(auth: Shaped<typeof login> | undefined): Credentials | undefined {
  if (auth?.username) return { username: auth.username, password: auth.password ?? '' }
  if (!auth?.auth) return undefined
  const [username = '', ...password] = Buffer.from(auth.auth, 'base64').toString().split(':')
  return { username, password: password.join(':') }
}

async function tls(files: Shaped<typeof tlsFiles> | undefined): Promise<TlsOptions> {
  const read = async (file: string | undefined) => (file ? await readFile(file, 'utf8') : undefined)
  return {
    ca: await read(files?.ca_file),
    cert: await read(files?.cert_file),
    key: await read(files?.key_file),
    insecure: files?.insecure_skip_verify ?? false,
  }
}

function ifAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined
  throw error
}
