// Registry credentials from a pod's imagePullSecrets, in both forms that `kubectl create secret
// docker-registry` ever made.

import type { Secret } from '#api/types/core-v1.gen.ts'
import type { Credentials } from '../../images/images.ts'
import { parseReference } from '../../images/reference.ts'

type Entry = { username?: string; password?: string; auth?: string }

/** Those that are for the reference's registry, the most specific first. Throws ImageError where it is no reference. */
export function credentialsFor(reference: string, secrets: readonly Secret[]): Credentials[] {
  const wanted = parseReference(reference).repository
  const found: { specific: number; credentials: Credentials }[] = []
  for (const secret of secrets) {
    for (const [server, entry] of entries(secret)) {
      const place = server.replace(/^https?:\/\//, '').replace(/\/(v1\/?|v2\/?)?$/, '')
      const canonical = place === 'index.docker.io' || place === 'registry-1.docker.io' ? 'docker.io' : place
      if (wanted !== canonical && !wanted.startsWith(`${canonical}/`)) continue
      const credentials = decode(entry)
      if (credentials) found.push({ specific: canonical.length, credentials })
    }
  }
  return found.sort((a, b) => b.specific - a.specific).map(({ credentials }) => credentials)
}

function entries({ type, data = {} }: Secret): [string, Entry][] {
  try {
    if (type === 'kubernetes.io/dockerconfigjson') {
      const config = JSON.parse(Buffer.from(data['.dockerconfigjson'] ?? '', 'base64').toString()) as { auths?: Record<string, Entry> }
      return Object.entries(config.auths ?? {})
    }
    if (type === 'kubernetes.io/dockercfg') {
      return Object.entries(JSON.parse(Buffer.from(data['.dockercfg'] ?? '', 'base64').toString()) as Record<string, Entry>)
    }
  } catch {
    // A secret that is no JSON has no credentials in it; the registry will say what is missing.
  }
  return []
}

function decode({ username, password, auth }: Entry): Credentials | undefined {
  if (username !== undefined && password !== undefined) return { username, password }
  if (!auth) return undefined
  const text = Buffer.from(auth, 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) }
}
