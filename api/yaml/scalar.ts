// What scalars mean in the dialect of Kubernetes' YAML, as JSON text: YAML 1.1 as sigs.k8s.io/yaml resolves it.
// Words such as `yes` and `off` are booleans, `0400` is octal; `22:22` and dates are text.

import { YamlError } from './error.ts'

export type Tag = 'str' | 'bool' | 'int' | 'float' | 'null' | 'merge' | 'binary' | 'timestamp' | 'other'
/** `json`: the value. Of `merge` it is what stands there, as text. */
export type Resolved = { tag: Tag; json: string }

const words = new Map<string, Resolved>()
const learn = (tag: Tag, json: string, ...texts: string[]) => {
  for (const text of texts) words.set(text, { tag, json })
}
learn('bool', 'true', 'y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON')
learn('bool', 'false', 'n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF')
learn('null', 'null', '', '~', 'null', 'Null', 'NULL')
learn('float', 'NaN', '.nan', '.NaN', '.NAN')
learn('float', '+Inf', '.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF')
learn('float', '-Inf', '-.inf', '-.Inf', '-.INF')
learn('merge', '"<<"', '<<')

const integer = /^[-+]?(?:0[xX][\da-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9]\d*)$/
const float = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/
const least = -(2n ** 63n)
const most = 2n ** 64n - 1n
const text = (value: string): Resolved => ({ tag: 'str', json: JSON.stringify(value) })

/** Of a scalar without quotes and tag. */
export function resolve(value: string): Resolved {
  const word = words.get(value)
  if (word) return word
  return numberOf(value) ?? text(value)
}

function numberOf(value: string): Resolved | undefined {
  const first = value.charCodeAt(0)
  if (first === 0x2e) return float.test(value) ? floatOf(value) : undefined // .
  if (!((first >= 0x30 && first <= 0x39) || first === 0x2b || first === 0x2d)) return undefined
  const plain = value.replaceAll('_', '')
  if (plain.length <= 70 && integer.test(plain)) {
    const exact = integerOf(plain)
    if (exact >= least && exact <= most) return { tag: 'int', json: String(exact) }
  }
  return float.test(plain) ? floatOf(plain) : undefined
}

function integerOf(plain: string): bigint {
  const digits = plain.replace(/^[-+]/, '')
  const isOctal = /^0[0-7]/.test(digits)
  const size = BigInt(isOctal ? `0o${digits.slice(1)}` : digits.toLowerCase())
  return plain.startsWith('-') ? -size : size
}

function floatOf(plain: string): Resolved | undefined {
  const value = Number(plain)
  if (!Number.isFinite(value)) return undefined
  return { tag: 'float', json: Object.is(value, -0) ? '-0' : String(value) }
}

const core = 'tag:yaml.org,2002:'
const known: Readonly<Record<string, Tag>> = {
  str: 'str',
  bool: 'bool',
  int: 'int',
  float: 'float',
  null: 'null',
  binary: 'binary',
  timestamp: 'timestamp',
}

/** `tag`: as it is written, e.g. `!!str`, `!<tag:yaml.org,2002:int>`, `!mine`. */
export function resolveTagged(tag: string, value: string): Resolved {
  if (tag === '!') return text(value)
  const name = tag.startsWith('!!') ? tag.slice(2) : tag.startsWith(`!<${core}`) ? tag.slice(2 + core.length, -1) : ''
  const wanted = Object.hasOwn(known, name) ? (known[name] as Tag) : 'other'
  if (wanted === 'str' || wanted === 'timestamp' || wanted === 'other') return text(value)
  if (wanted === 'binary') return text(binary(value))
  const found = resolve(value)
  if (found.tag === wanted) return found
  if (wanted === 'float' && found.tag === 'int') return { tag: 'float', json: found.json }
  throw new YamlError(`cannot decode !!${found.tag} \`${value.slice(0, 100)}\` as a !!${wanted}`)
}

function binary(value: string): string {
  const clean = value.replace(/[\r\n]/g, '')
  if (clean.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(clean)) throw new YamlError('!!binary value contains invalid base64 data')
  return Buffer.from(clean, 'base64').toString()
}
