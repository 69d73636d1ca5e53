// The OpenAPI documents: made when somebody asks, kept while nothing changes, and cacheable for ever
// under their hash.

import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { breather, gently, type Steps } from '#api/breather.ts'
import { replied } from '#api/http/env.ts'
import type { Incoming } from '#api/http/incoming.ts'
import { Reply } from '#api/http/reply.ts'
import type { Kind } from '#api/kinds/kind.ts'
import { gnosticType, writingGnostic } from '#api/schema/openapi/gnostic.ts'
import type { Json } from '#api/schema/openapi/json.ts'
import type { ServedKind } from '#api/schema/openapi/paths.ts'
import { describingV2 } from '#api/schema/openapi/v2.ts'
import { describingV3 } from '#api/schema/openapi/v3.ts'
import { newPages, type Pages } from './env.ts'
import { noSuchPath } from './request.ts'
import { version } from './version.ts'

/** Compressed only: documents are large, and clients that ask for them take gzip. */
type Document = { hash: string; packed: Uint8Array }

const pack = promisify(gzip)
const unpack = promisify(gunzip)
const forever = 'public, immutable, max-age=31536000'

type Options = {
  /** Every served kind, as discovery shows it. */
  offers: () => readonly ServedKind[]
  /** Changes with them. */
  revision: () => number
  /** Where documents of other servers are to be had, by path (`apis/GROUP/VERSION`). */
  aggregated: () => ReadonlyMap<string, string>
}

export function openapiPages({ offers, revision, aggregated }: Options): Pages {
  const documents = new Map<string, { document: Promise<Document>; revision: number; kinds: readonly Kind[] }>()
  /** Of `served`; the one that is there as long as they are the same. */
  const once = (
    name: string,
    served: readonly ServedKind[],
    make: (served: readonly ServedKind[]) => Steps<Uint8Array>,
  ): Promise<Document> => {
    const found = documents.get(name)
    const now = revision()
    if (found?.revision === now) return found.document
    // A kind that changes comes as another descriptor.
    const kinds = served.map(({ kind }) => kind)
    const same = found?.kinds.length === kinds.length && found.kinds.every((kind, i) => kind === kinds[i])
    const document = same ? found.document : gently(make(served), breather()).then(packed)
    documents.set(name, { document, revision: now, kinds })
    return document
  }
  const pathOf = ({ kind }: ServedKind) => (kind.group ? `apis/${kind.group}/${kind.version}` : `api/${kind.version}`)
  const third = (path: string) =>
    once(
      `v3 ${path}`,
      offers().filter((o) => pathOf(o) === path),
      function* (served) {
        return yield* writing(yield* describingV3(served, version.gitVersion))
      },
    )

  /** Where to find the document of each group version. */
  const index = async (request: Incoming): Promise<Reply> => {
    const others = aggregated()
    const theirs = [...others].map(([path, url]) => [path, { serverRelativeURL: url }] as const)
    const groups = [...new Set(offers().map(pathOf))].filter((path) => !others.has(path))
    const entries = await Promise.all(
      groups.map(async (path) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${(await third(path)).hash}` }] as const),
    )
    const body = Buffer.from(JSON.stringify({ paths: Object.fromEntries([...entries, ...theirs]) }))
    return await answer(request, await packed(body), 'application/json', 'no-cache, private')
  }
  const ofGroupVersion = async (request: Incoming): Promise<Reply> => {
    const { pathname, searchParams } = request.url
    const path = pathname.slice('/openapi/v3/'.length)
    if (!offers().some((o) => pathOf(o) === path)) throw noSuchPath()
    const document = await third(path)
    const asked = searchParams.get('hash')
    if (asked && asked !== document.hash) {
      return new Reply(undefined, { status: 301, headers: { location: `${pathname}?hash=${document.hash}` } })
    }
    return await answer(request, document, 'application/json', asked ? forever : 'no-cache, private')
  }
  const whole = async (request: Incoming): Promise<Reply> => {
    if (request.headers.get('accept')?.includes(gnosticType.split('@')[0] ?? '')) {
      const document = await once('v2 protobuf', offers(), function* (served) {
        return yield* writingGnostic(yield* describingV2(served, version.gitVersion))
      })
      // `@` stands in the Accept header only: Go cannot parse it in a Content-Type.
      return await answer(request, document, gnosticType.replace('@', '.'), 'no-cache, private')
    }
    const document = await once('v2', offers(), function* (served) {
      return yield* writing(yield* describingV2(served, version.gitVersion))
    })
    return await answer(request, document, 'application/json', 'no-cache, private')
  }
  const pages = newPages()
  pages.get('/openapi/v2', async (c) => replied(c, await whole(c.get('incoming'))))
  pages.get('/openapi/v3', async (c) => replied(c, await index(c.get('incoming'))))
  pages.get('/openapi/v3/*', async (c) => replied(c, await ofGroupVersion(c.get('incoming'))))
  return pages
}

/** A document as JSON, definition by definition: those of custom resources may be long. */
function* writing(document: Json): Steps<Uint8Array> {
  return Buffer.from(yield* textOf(document, 2))
}

function* textOf(json: Json, depth: number): Steps<string> {
  const members: string[] = []
  for (const [name, value] of Object.entries(json)) {
    const isMap = depth > 0 && typeof value === 'object' && value !== null && !Array.isArray(value)
    const text: string | undefined = isMap ? yield* textOf(value as Json, depth - 1) : JSON.stringify(value)
    if (text !== undefined) members.push(`${JSON.stringify(name)}:${text}`)
    yield
  }
  return `{${members.join()}}`
}

async function packed(bytes: Uint8Array): Promise<Document> {
  const hash = createHash('sha256').update(bytes).digest('hex').toUpperCase()
  return { hash, packed: await pack(bytes) }
}

async function answer(request: Incoming, { hash, packed }: Document, type: string, caching: string): Promise<Reply> {
  const etag = `"${hash}"`
  const headers = { 'content-type': type, etag, 'cache-control': caching, vary: 'Accept, Accept-Encoding' }
  if (request.headers.get('if-none-match') === etag) return new Reply(undefined, { status: 304, headers })
  if (!request.headers.get('accept-encoding')?.includes('gzip')) return new Reply(await unpack(packed), { headers })
  return new Reply(packed, { headers: { ...headers, 'content-encoding': 'gzip' } })
}
