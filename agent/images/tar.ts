// A tar reader (POSIX ustar and pax, GNU long names) that pulls from a Source. Of its own, because layers
// carry binary attributes in pax records (`security.capability`) and names that are not UTF-8, which
// tar-stream decodes as text and so destroys. Nothing read from here is trusted: see layer.ts.

import { Malformed } from './malformed.ts'
import type { Source } from './source.ts'

export type TarEntry = {
  /** Raw bytes as latin1 text, so that every name survives the way to the file system and back. */
  name: string
  type: 'file' | 'hardlink' | 'symlink' | 'char' | 'block' | 'directory' | 'fifo' | 'unknown'
  linkName: string
  mode: number
  uid: number
  gid: number
  /** Seconds since 1970, with a fraction if the archive has one. */
  mtime: number
  size: number
  device: { major: number; minor: number }
  /** Extended attributes by name. */
  xattrs: Map<string, Buffer>
  /** The content, once; what is left unread is skipped. */
  body(): AsyncGenerator<Buffer>
}

const block = 512
/** Pax headers and long names beyond this are an attack, not metadata. */
const maxMetadata = 1 << 20
const types: Record<string, TarEntry['type']> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

/** Entries in order, until the end-of-archive block. Throws Malformed. */
export async function* readTar(source: Source): AsyncGenerator<TarEntry> {
  let global = new Map<string, Buffer>()
  let pax = new Map<string, Buffer>()
  let longName: string | undefined
  let longLink: string | undefined
  for (;;) {
    const header = await source.read(block)
    if (!header || header.every((byte) => byte === 0)) return
    verifyChecksum(header)
    const flag = header.toString('latin1', 156, 157)
    const headerSize = number(header, 124, 12)
    if ('xgLK'.includes(flag)) {
      const content = await metadata(source, headerSize)
      if (flag === 'x') pax = parsePax(content)
      else if (flag === 'g') global = new Map([...global, ...parsePax(content)])
      else if (flag === 'L') longName = text(content, 0, content.length)
      else longLink = text(content, 0, content.length)
      continue
    }
    const record = new Map([...global, ...pax])
    const entry = toEntry(header, flag, record, longName, longLink)
    pax = new Map()
    longName = longLink = undefined
    const size = hasBody(entry.type) ? entry.size : 0
    let left = size
    entry.body = async function* () {
      while (left > 0) {
        const part = await source.some(left)
        left -= part.length
        yield part
      }
    }
    yield entry
    await source.skip(left + padding(size))
  }
}

/** Size fields of links, directories and the like are to be ignored (pax, ustar). */
const hasBody = (type: TarEntry['type']) => type === 'file' || type === 'unknown'
const padding = (size: number) => (block - (size % block)) % block

async function metadata(source: Source, size: number): Promise<Buffer> {
  if (size > maxMetadata) throw new Malformed(`tar: header of ${size} bytes`)
  const content = size === 0 ? Buffer.alloc(0) : await source.read(size)
  if (!content) throw new Malformed('unexpected end of the archive')
  await source.skip(padding(size))
  return content
}

function toEntry(header: Buffer, flag: string, pax: Map<string, Buffer>, longName?: string, longLink?: string): TarEntry {
  const latin1 = (key: string) => pax.get(key)?.toString('latin1')
  const ustar = header.toString('latin1', 257, 263) === 'ustar\0'
  const prefix = ustar ? text(header, 345, 155) : ''
  const shortName = text(header, 0, 100)
  const name = latin1('path') ?? longName ?? (prefix ? `${prefix}/${shortName}` : shortName)
  let type = types[flag] ?? 'unknown'
  if (type === 'file' && name.endsWith('/')) type = 'directory'
  if (flag === 'S' || [...pax.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
    throw new Malformed(`tar: ${name}: sparse entries are not supported`)
  }
  const xattrs = new Map<string, Buffer>()
  for (const [key, value] of pax) if (key.startsWith('SCHILY.xattr.')) xattrs.set(key.slice('SCHILY.xattr.'.length), value)
  return {
    name,
    type,
    linkName: latin1('linkpath') ?? longLink ?? text(header, 157, 100),
    mode: number(header, 100, 8) & 0o7777,
    uid: decimal(pax, 'uid') ?? number(header, 108, 8),
    gid: decimal(pax, 'gid') ?? number(header, 116, 8),
    mtime: decimal(pax, 'mtime', true) ?? number(header, 136, 12, true),
    size: decimal(pax, 'size') ?? number(header, 124, 12),
    device: { major: number(header, 329, 8), minor: number(header, 337, 8) },
    xattrs,
    async *body() {},
  }
}

/** Pax records: `length key=value\n`, values are bytes. */
function parsePax(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at)
    const length = space < 0 ? Number.NaN : Number(content.toString('latin1', at, space))
    const end = at + length
    const equals = content.indexOf(0x3d, space)
    if (!Number.isInteger(length) || end > content.length || equals < 0 || equals >= end || content[end - 1] !== 0x0a) {
      throw new Malformed('tar: broken pax header')
    }
    records.set(content.toString('utf8', space + 1, equals), content.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

function decimal(pax: Map<string, Buffer>, key: string, fraction = false): number | undefined {
  const value = pax.get(key)?.toString('latin1')
  if (value === undefined || value === '') return undefined
  if (!(fraction ? /^-?\d{1,15}(\.\d*)?$/ : /^\d{1,15}$/).test(value)) throw new Malformed(`tar: broken pax ${key}`)
  return Number(value)
}

/** Octal text, or GNU's base-256 when the first bit is set. */
function number(header: Buffer, offset: number, length: number, signed = false): number {
  const first = header[offset]!
  if (first & 0x80) {
    let value = first & 0x40 ? -1n : BigInt(first & 0x3f)
    for (let at = offset + 1; at < offset + length; at++) value = (value << 8n) | BigInt(header[at]!)
    const result = Number(value)
    if (!Number.isSafeInteger(result) || (result < 0 && !signed)) throw new Malformed('tar: number out of range')
    return result
  }
  const digits = text(header, offset, length).trim()
  if (!/^[0-7]*$/.test(digits)) throw new Malformed('tar: broken header')
  return digits === '' ? 0 : Number.parseInt(digits, 8)
}

function text(buffer: Buffer, offset: number, length: number): string {
  const end = buffer.indexOf(0, offset)
  return buffer.toString('latin1', offset, end < 0 ? offset + length : Math.min(end, offset + length))
}

function verifyChecksum(header: Buffer): void {
  let sum = 8 * 0x20
  for (let at = 0; at < block; at++) if (at < 148 || at >= 156) sum += header[at]!
  if (sum !== number(header, 148, 8)) throw new Malformed('tar: not an archive, or a broken header')
}
