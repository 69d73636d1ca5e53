// Where a webhook is, for admission and conversion alike (apiserver pkg/util/webhook).

import type { WebhookClientConfig } from '../../types/admissionregistration-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isDns1123Subdomain } from './names.ts'

export function validateClient(at: string, { url, service }: WebhookClientConfig, faults: Faults): void {
  if ((url === undefined) === (service === undefined)) faults.required(at, 'exactly one of url or service is required')
  if (url !== undefined) validateUrl(`${at}.url`, url, faults)
  if (!service) return
  if (!service.name) faults.required(`${at}.service.name`, 'service name is required')
  if (!service.namespace) faults.required(`${at}.service.namespace`, 'service namespace is required')
  if (service.port !== undefined && (service.port < 1 || service.port > 65_535))
    faults.invalid(`${at}.service.port`, service.port, 'port is not valid: must be between 1 and 65535, inclusive')
  const { path } = service
  if (!path || path === '/') return
  if (!path.startsWith('/')) return faults.invalid(`${at}.service.path`, path, "must start with a '/'")
  for (const [i, step] of path.replace(/\/$/, '').slice(1).split('/').entries()) {
    if (step === '') faults.invalid(`${at}.service.path`, path, `segment[${i}] may not be empty`)
    for (const wrong of step === '' ? [] : isDns1123Subdomain(step)) faults.invalid(`${at}.service.path`, path, `segment[${i}]: ${wrong}`)
  }
}

function validateUrl(field: string, text: string, faults: Faults): void {
  const form = '; desired format: https://host[/path]'
  if (!URL.canParse(text)) return faults.required(field, `url must be a valid URL${form}`)
  const url = new URL(text)
  if (url.protocol !== 'https:') faults.invalid(field, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`)
  if (!url.host) faults.invalid(field, url.host, `host must be specified${form}`)
  if (url.username) faults.invalid(field, url.username, 'user information is not permitted in the URL')
  if (url.hash) faults.invalid(field, url.hash.slice(1), 'fragments are not permitted in the URL')
  if (url.search) faults.invalid(field, url.search.slice(1), 'query parameters are not permitted in the URL')
}
