// URLs: `url('https://example.com:80/a?b=c').getHostname()`. Absolute ones, or absolute paths.

import type { Environment } from '@marcbachmann/cel-js'

class Url {
  readonly text: string
  readonly url: URL
  readonly isPath: boolean
  constructor(text: string) {
    this.text = text
    this.isPath = text.startsWith('/')
    this.url = new URL(text, this.isPath ? 'path://host' : undefined)
  }
  toString(): string {
    return this.text
  }
}

const isUrl = (text: string) => URL.canParse(text, text.startsWith('/') ? 'path://host' : undefined)
/** The port as it is written, which URL drops where it is the usual one. */
const portOf = ({ text }: Url) => /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*?(?::(\d+))?(?=[/?#]|$)/i.exec(text)?.[1] ?? ''
const hostname = ({ isPath, url }: Url) => (isPath ? '' : url.hostname.replace(/^\[|\]$/g, ''))

export function urls(environment: Environment): void {
  environment
    .registerType('URL', Url)
    .registerOperator('URL == URL', (a: Url, b: Url) => a.text === b.text)
    .registerFunction('isURL(string): bool', isUrl)
    .registerFunction('url(string): URL', (text: string) => {
      if (!isUrl(text))
        throw new Error(`URL parse error during conversion from string: parse ${JSON.stringify(text)}: invalid URI for request`)
      return new Url(text)
    })
    .registerFunction('URL.getScheme(): string', ({ isPath, url }: Url) => (isPath ? '' : url.protocol.slice(0, -1)))
    .registerFunction('URL.getHost(): string', (of: Url) => (of.isPath ? '' : of.url.hostname + (portOf(of) && `:${portOf(of)}`)))
    .registerFunction('URL.getHostname(): string', hostname)
    .registerFunction('URL.getPort(): string', portOf)
    .registerFunction('URL.getEscapedPath(): string', ({ text, url }: Url) =>
      url.pathname === '/' && !/\/(?=[?#]|$)/.test(text.replace('://', '')) ? '' : url.pathname,
    )
    .registerFunction('URL.getQuery(): map<string, list<string>>', ({ url }: Url) => {
      const query: Record<string, string[]> = {}
      for (const name of new Set(url.searchParams.keys())) query[name] = url.searchParams.getAll(name)
      return query
    })
}
