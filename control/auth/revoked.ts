// Certificates that count no more before their time is over: by their serial number, or all of a name. The list is a
// ConfigMap, so it is kept, shared and changed like everything else.

import { ConfigMap } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'

export const revocations = { namespace: 'kube-system', name: 'coracle-revoked-certificates' }

type Shown = { commonName: string; serial?: string | undefined }
export type Revoked = { has(certificate: Shown): boolean }

type Peek = (kind: Kind, ref: { namespace: string; name: string }) => KubeObject | undefined
type Lists = { serials: ReadonlySet<string>; names: ReadonlySet<string> }

/** Which of the two lists. */
export type RevokedBy = 'serial' | 'name'

const nothing: Lists = { serials: new Set(), names: new Set() }

/** Asked at each request; read anew only when the list is another. */
export function revokedCertificates(peek: Peek): Revoked {
  let read: { version: string | undefined; lists: Lists } = { version: undefined, lists: nothing }
  return {
    has({ commonName, serial }) {
      const object: ConfigMap | undefined = peek(ConfigMap, revocations)
      const version = object?.metadata.resourceVersion
      if (version !== read.version) read = { version, lists: object ? listsOf(object) : nothing }
      return isOn(read.lists, { commonName, serial })
    },
  }
}

const isOn = ({ serials, names }: Lists, { commonName, serial }: Shown): boolean =>
  names.has(commonName) || (serial !== undefined && serials.size > 0 && serials.has(plainSerial(serial)))

export const isListed = (data: ConfigMap['data'], certificate: Shown): boolean => isOn(listsOf({ data }), certificate)

const keyOf = { serial: 'serials', name: 'names' } as const
const linesOf = (text = '') => text.split(/\r?\n/)
const wordOf = (line: string) => line.replace(/#.*/, '').trim()
const same = { serial: (text: string) => plainSerial(text), name: (text: string) => text.trim() }

function listsOf({ data }: Pick<ConfigMap, 'data'>): Lists {
  const words = (by: RevokedBy) => new Set(revokedIn(data, by).map(same[by]))
  return { serials: words('serial'), names: words('name') }
}

/** What is on one of the lists, as it was written. */
export const revokedIn = (data: ConfigMap['data'], by: RevokedBy): string[] => linesOf(data?.[keyOf[by]]).map(wordOf).filter(Boolean)

/** The lists with one line more, or undefined if they have it; notes that people left stay. Throws where `text` is no serial number or name. */
export function withRevoked(data: ConfigMap['data'], by: RevokedBy, text: string): ConfigMap['data'] | undefined {
  if (by === 'serial' ? !/^(0x)?[0-9a-f:]+$/i.test(text) : !/^[^#\s]+$/.test(text))
    throw new Error(`${JSON.stringify(text)} is no ${by === 'serial' ? 'serial number: hexadecimal, as openssl prints it' : 'common name'}`)
  if (revokedIn(data, by).some((word) => same[by](word) === same[by](text))) return undefined
  const before = data?.[keyOf[by]] ?? ''
  return { ...data, [keyOf[by]]: `${before}${before && !before.endsWith('\n') ? '\n' : ''}${text}\n` }
}

/** The lists without it, or undefined if they do not have it. */
export function withoutRevoked(data: ConfigMap['data'], by: RevokedBy, text: string): ConfigMap['data'] | undefined {
  const lines = linesOf(data?.[keyOf[by]])
  const left = lines.filter((line) => wordOf(line) === '' || same[by](wordOf(line)) !== same[by](text))
  return left.length === lines.length ? undefined : { ...data, [keyOf[by]]: left.join('\n') }
}

/** As openssl prints it, with or without colons and leading zeros. */
const plainSerial = (text: string): string =>
  text
    .replaceAll(':', '')
    .replace(/^(0x)?0*/i, '')
    .toUpperCase()
