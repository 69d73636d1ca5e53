// Field selectors: `metadata.name=web,status.phase!=Running`. Which fields a kind can be selected by,
// and where they are, is the caller's knowledge.

import { StatusError } from '../errors.ts'

export type FieldRequirement = { readonly field: string; readonly equal: boolean; readonly value: string }
export type FieldSelector = readonly FieldRequirement[]

/** Throws BadRequest, also for a field that `supported` refuses. `\` escapes `,`, `=` and itself in values. */
export function parseFields(text: string, supported: (field: string) => boolean): FieldSelector {
  return split(text).map((term) => {
    const match = /^([^=!\\]+?)(==|!=|=)(.*)$/s.exec(term)
    if (!match) throw new StatusError('BadRequest', `invalid selector: '${text}'; can't understand '${term}'`)
    const [, field = '', operator, escaped = ''] = match
    if (!supported(field)) throw new StatusError('BadRequest', `field label not supported: ${field}`)
    return { field, equal: operator !== '!=', value: unescapeValue(escaped, text) }
  })
}

export const matchesFields = (selector: FieldSelector, valueOf: (field: string) => string): boolean =>
  selector.every(({ field, equal, value }) => (valueOf(field) === value) === equal)

/** Of objects, by JSON path. Throws BadRequest. */
export function fieldMatcher(text: string, supported: (field: string) => boolean = () => true): (object: object) => boolean {
  const selector = parseFields(text, supported)
  return (object) => matchesFields(selector, (field) => textAt(object, field))
}

/** The value at a dotted path, as text; what is absent is ''. */
export function textAt(object: object, path: string): string {
  let value: unknown = object
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return ''
    value = (value as Record<string, unknown>)[step]
  }
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : ''
}

function split(text: string): string[] {
  const terms: string[] = []
  let term = ''
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') term += text[i++]
    else if (text[i] === ',') {
      terms.push(term)
      term = ''
      continue
    }
    term += text[i] ?? ''
  }
  return [...terms, term].filter((each) => each !== '')
}

function unescapeValue(escaped: string, text: string): string {
  if (/(?<!\\)(?:\\\\)*=/.test(escaped) || /\\(?![\\,=])/.test(escaped.replaceAll('\\\\', ''))) {
    throw new StatusError('BadRequest', `invalid selector: '${text}'; can't understand value '${escaped}'`)
  }
  return escaped.replace(/\\([\\,=])/g, '$1')
}
