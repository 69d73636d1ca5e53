// Certificates that count no more before their time is over: by their serial number, or all of a name. The list is a
// ConfigMap, so it is kept, shared and changed like everything else.

import { ConfigMap } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import type { ConfigMap as ConfigMapType } from '#api/types/core-v1.gen.ts'

export const revocations = { namespace: 'kube-system', name: 'coracle-revoked-certificates' }

export type Revoked = { has(certificate: { commonName: string; serial?: string | undefined }): boolean }

type Peek = (kind: Kind, ref: { namespace: string; name: string }) => KubeObject | undefined
type Lists = { serials: ReadonlySet<string>; names: ReadonlySet<string> }

const nothing: Lists = { serials: new Set(), names: new Set() }

/** Asked at each request; read anew only when the list is another. */
export function revokedCertificates(peek: Peek): Revoked {
  let read: { version: string | undefined; lists: Lists } = { version: undefined, lists: nothing }
  return {
    has({ commonName, serial }) {
      const object: ConfigMapType | undefined = peek(ConfigMap, revocations)
      const version = object?.metadata.resourceVersion
      if (version !== read.version) read = { version, lists: object ? listsOf(object) : nothing }
      const { serials, names } = read.lists
      return names.has(commonName) || (serial !== undefined && serials.size > 0 && serials.has(plainSerial(serial)))
    },
  }
}

function listsOf({ data = {} }: ConfigMapType): Lists {
  const lines = (key: string) =>
    (data[key] ?? '')
      .split(/\r?\n/)
      .map((line) => line.replace(/#.*/, '').trim())
      .filter(Boolean)
  return { serials: new Set(lines('serials').map(plainSerial)), names: new Set(lines('names')) }
}

/** As openssl prints it, with or without colons and leading zeros. */
const plainSerial = (text: string): string =>
  text
    .replaceAll(':', '')
    .replace(/^(0x)?0*/i, '')
    .toUpperCase()
