// Image references as Docker and Kubernetes read them (distribution/reference: normalized names):
// `busybox` is docker.io/library/busybox:latest; a digest wins over a tag beside it.

import { ImageError } from './images.ts'

export type Reference = {
  /** Registry host with its port, e.g. `docker.io` or `localhost:5000`. */
  domain: string
  /** Path within the registry, e.g. `library/busybox`. */
  path: string
  /** `domain/path`. */
  repository: string
  /** Exactly one of tag and digest is set. */
  tag?: string
  digest?: string
  /** The whole canonical form, the key under which the image is stored. */
  name: string
}

const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const domainPattern = new RegExp(`^(?:${label}(?:\\.${label})*|\\[[0-9a-fA-F:]+\\])(?::[0-9]+)?$`)
const pathPattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/
const tagPattern = /^\w[\w.-]{0,127}$/
const maxNameLength = 255

export const digestPattern = /^sha256:[0-9a-f]{64}$/

/** Throws ImageError InvalidImageName. */
export function parseReference(text: string): Reference {
  let rest = text
  let digest: string | undefined
  const at = rest.indexOf('@')
  if (at >= 0) {
    digest = rest.slice(at + 1)
    rest = rest.slice(0, at)
    if (!digestPattern.test(digest)) throw invalid(text, `unsupported digest "${digest}"`)
  }
  let tag: string | undefined
  const colon = rest.lastIndexOf(':')
  if (colon > rest.lastIndexOf('/') && colon > rest.lastIndexOf(']')) {
    tag = rest.slice(colon + 1)
    rest = rest.slice(0, colon)
    if (!tagPattern.test(tag)) throw invalid(text, 'invalid tag')
  }
  const { domain, path } = splitDomain(rest)
  if (!domainPattern.test(domain)) throw invalid(text)
  if (!pathPattern.test(path)) {
    throw invalid(text, pathPattern.test(path.toLowerCase()) ? `repository name (${path}) must be lowercase` : undefined)
  }
  const repository = `${domain}/${path}`
  if (repository.length > maxNameLength) throw invalid(text, `repository name must not be more than ${maxNameLength} characters`)
  if (/^[0-9a-f]{64}$/.test(rest)) throw invalid(text, 'cannot be a 64 digit hexadecimal string')
  if (digest) return { domain, path, repository, digest, name: `${repository}@${digest}` }
  tag ??= 'latest'
  return { domain, path, repository, tag, name: `${repository}:${tag}` }
}

function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  const isDomain = slash > 0 && (/[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase())
  const domain = !isDomain || first === 'index.docker.io' ? 'docker.io' : first
  const path = isDomain ? name.slice(slash + 1) : name
  return { domain, path: domain === 'docker.io' && !path.includes('/') ? `library/${path}` : path }
}

function invalid(text: string, why?: string): ImageError {
  return new ImageError('InvalidImageName', `couldn't parse image name "${text}": invalid reference format${why ? `: ${why}` : ''}`)
}
