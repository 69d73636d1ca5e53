// Forms of values that only a few kinds use (apimachinery util/validation); those of names are in names.ts.

import { overlaps, parseCidr } from '../../cidr.ts'
import type { Faults } from './faults.ts'
import { isDns1123Label, isDns1123Subdomain, type Rule } from './names.ts'

const longestSigner = 571
const path = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"
const subdomain = '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*'

/** A name that only has to fit into one segment of a URL (rbac roles and the like). */
export const isPathSegment: Rule = (value) => {
  if (value === '.' || value === '..') return [`may not be '${value}'`]
  // NUL, too: no path can carry it, so nobody could ever ask for the object again.
  return ['/', '%', '\0'].filter((c) => value.includes(c)).map((c) => `may not contain '${c === '\0' ? '\\x00' : c}'`)
}

/** `example.com/some/path`. */
export function validateDomainPath(field: string, value: string, faults: Faults): void {
  if (value === '') return faults.required(field)
  const slash = value.indexOf('/')
  const [domain, rest] = [value.slice(0, slash), value.slice(slash + 1)]
  if (slash < 0 || !domain || !rest) return faults.invalid(field, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
  faults.each(field, domain, isDns1123Subdomain(domain))
  if (!new RegExp(`^${path}$`).test(rest)) faults.invalid(field, rest, `Invalid path (regex used for validation is '${path}')`)
}

/** A domain of two parts at least, with or without a dot at its end. */
export const isFullDomain: Rule = (value) => {
  if (value === '') return ['must not be empty']
  const domain = value.endsWith('.') ? value.slice(0, -1) : value
  const wrong = isDns1123Subdomain(domain)
  if (wrong.length > 0) return wrong
  const parts = domain.split('.')
  if (parts.length < 2) return ['should be a domain with at least two segments separated by dots']
  return parts.flatMap((part) => (part.length > 63 ? [`${part}: must be no more than 63 bytes`] : []))
}

/** `*.example.com`. */
export const isWildcardDns1123Subdomain: Rule = (value) => [
  ...(value.length > 253 ? ['must be no more than 253 characters'] : []),
  ...(new RegExp(`^\\*\\.${subdomain}$`).test(value)
    ? []
    : [
        `a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.${subdomain}')`,
      ]),
]

/** A domain of three parts at least, as webhooks are named. */
export function validateFullyQualifiedName(field: string, value: string, faults: Faults): void {
  if (!value) return faults.required(field)
  const wrong = isDns1123Subdomain(value)
  if (wrong.length > 0) return faults.each(field, value, wrong)
  if (value.split('.').length < 3) faults.invalid(field, value, 'should be a domain with at least three segments separated by dots')
}

/** `example.com/name` of who signs certificates. */
export function validateSigner(field: string, name: string | undefined, faults: Faults): void {
  if (!name) return faults.required(field)
  const [domain = '', path, ...rest] = name.split('/')
  if (path === undefined || rest.length > 0)
    return faults.invalid(field, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
  const labels = domain.split('.')
  for (const label of labels)
    for (const wrong of isDns1123Label(label)) faults.invalid(field, name, `validating label "${label}": ${wrong}`)
  if (labels.length < 2) faults.invalid(field, name, 'should be a domain with at least two segments separated by dots')
  for (const label of path.split('.'))
    for (const wrong of isDns1123Subdomain(label)) faults.invalid(field, name, `validating label "${label}": ${wrong}`)
  if (name.length > longestSigner) faults.tooLong(field, longestSigner)
}

/** Whether `inner` lies within `outer` and is smaller. */
export function isStrictSubset(inner: string, outer: string): boolean {
  const [a, b] = [parseCidr(inner), parseCidr(outer)]
  return a !== undefined && b !== undefined && a.prefix > b.prefix && overlaps(a, b)
}

export const isCidr: Rule = (value) => (parseCidr(value) ? [] : ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'])
