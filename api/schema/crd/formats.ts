// The values of `format` that are checked, as apiextensions supports them; any other is only a hint.

import { isDns1123Label, isDns1123Subdomain, isIPv4, isQualifiedName } from '../../kinds/rules/names.ts'
import { parseDuration } from '../duration.ts'

const digits = (text: string) => text.replace(/[ -]/g, '')
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const uuidOf = (version: number) =>
  new RegExp(`^[0-9a-f]{8}-?[0-9a-f]{4}-?${version}[0-9a-f]{3}-?${version === 3 ? '[0-9a-f]' : '[89ab]'}[0-9a-f]{3}-?[0-9a-f]{12}$`, 'i')
const isIPv6 = (text: string) => text.includes(':') && !/[[\]%/]/.test(text) && URL.canParse(`http://[${text}]/`)
const dateTime = /^\d{4}-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/
const wordDuration = /^\d+(\.\d+)?\s*(ns|us|µs|μs|ms|s|m|h|hr|hour|d|day|w|wk|week|second|sec|minute|min)s?$/

const formats: Readonly<Record<string, (text: string) => boolean>> = {
  bsonobjectid: (text) => /^[0-9a-f]{24}$/i.test(text),
  uri: (text) => URL.canParse(text) || text.startsWith('/'),
  email: (text) => /^[^\s@<>()[\],;:\\"]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(text),
  hostname: (text) =>
    text.length <= 255 && /^[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?)*\.?$/.test(text),
  ipv4: isIPv4,
  ipv6: isIPv6,
  cidr: isCidr,
  mac: (text) => /^([0-9a-f]{2}([:-][0-9a-f]{2}){5}|[0-9a-f]{2}([:-][0-9a-f]{2}){7}|[0-9a-f]{4}(\.[0-9a-f]{4}){2,3})$/i.test(text),
  uuid: (text) => uuid.test(text),
  uuid3: (text) => uuidOf(3).test(text),
  uuid4: (text) => uuidOf(4).test(text),
  uuid5: (text) => uuidOf(5).test(text),
  isbn: (text) => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: (text) => /^\d{13,19}$/.test(digits(text)) && luhn(digits(text)),
  ssn: (text) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text),
  hexcolor: (text) => /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.test(text),
  rgbcolor: (text) =>
    /^rgb\(\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\)$/.test(text) && (text.match(/\d+/g) ?? []).every((n) => Number(n) <= 255),
  byte: (text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && isDay(text),
  'date-time': isDateTime,
  datetime: isDateTime,
  duration: (text) => parseDuration(text) !== undefined || wordDuration.test(text),
  password: () => true,
  // Names of Kubernetes' own, since 1.34.
  'k8s-short-name': (text) => isDns1123Label(text).length === 0,
  'k8s-long-name': (text) => isDns1123Subdomain(text).length === 0,
  'k8s-label-key': (text) => isQualifiedName(text).length === 0,
}

/** Of a format that is not checked: every text is. `bson-object-id` and `bsonobjectid` are the same. */
export function isFormatted(format: string, text: string): boolean {
  const test = Object.hasOwn(formats, format) ? formats[format] : formats[format.replaceAll('-', '')]
  return typeof test !== 'function' || test(text)
}

function isCidr(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/')
  if (rest.length || !/^(0|[1-9]\d{0,2})$/.test(bits)) return false
  return (isIPv4(address) && Number(bits) <= 32) || (isIPv6(address) && Number(bits) <= 128)
}

/** `2024-02-30` is no day. */
function isDay(date: string): boolean {
  const time = Date.parse(`${date}T00:00:00Z`)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date)
}

function isDateTime(text: string): boolean {
  const [, , , hour, minute, second] = dateTime.exec(text) ?? []
  return hour !== undefined && Number(hour) < 24 && Number(minute) < 60 && Number(second) < 61 && isDay(text.slice(0, 10))
}

function luhn(number: string): boolean {
  let sum = 0
  for (const [i, digit] of Array.from(number).reverse().entries()) {
    const value = Number(digit) * (i % 2 ? 2 : 1)
    sum += value > 9 ? value - 9 : value
  }
  return sum % 10 === 0
}

function isIsbn10(text: string): boolean {
  const number = digits(text)
  if (!/^\d{9}[\dX]$/.test(number)) return false
  return Array.from(number).reduce((sum, digit, i) => sum + (digit === 'X' ? 10 : Number(digit)) * (10 - i), 0) % 11 === 0
}

function isIsbn13(text: string): boolean {
  const number = digits(text)
  return /^\d{13}$/.test(number) && Array.from(number).reduce((sum, digit, i) => sum + Number(digit) * (i % 2 ? 3 : 1), 0) % 10 === 0
}
