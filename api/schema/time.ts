// Times of the API: RFC 3339, in UTC; `Time` has whole seconds, `MicroTime` six digits of a second.

const shape = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/

/** The canonical spelling, or undefined for what is not an RFC 3339 time. */
export function normalizeTime(text: string, micro: boolean): string | undefined {
  const match = shape.exec(text)
  if (!match) return undefined
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour = '0', offsetMinute = '0'] = match
  const [y, mo, d, h, mi, s] = [year, month, day, hour, minute, second].map(Number) as [number, number, number, number, number, number]
  if (h > 23 || mi > 59 || s > 59 || Number(offsetHour) > 23 || Number(offsetMinute) > 59) return undefined
  const date = new Date(0)
  date.setUTCFullYear(y, mo - 1, d)
  if (date.getUTCMonth() !== mo - 1 || date.getUTCDate() !== d) return undefined
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === '-' ? -1 : 1)
  date.setUTCHours(h, mi - offset, s)
  return spell(date, micro ? fraction.slice(0, 6).padEnd(6, '0') : undefined)
}

/** Of a protobuf Timestamp. Undefined outside of the years 0 to 9999. */
export function timeFromUnix(seconds: number, nanos: number, micro: boolean): string | undefined {
  const date = new Date(seconds * 1000)
  const fraction = Math.floor(nanos / 1000)
  return spell(date, micro ? String(fraction).padStart(6, '0') : undefined)
}

function spell(date: Date, fraction: string | undefined): string | undefined {
  if (Number.isNaN(date.getTime())) return undefined
  const iso = date.toISOString()
  return iso.length === 24 ? `${iso.slice(0, 19)}${fraction === undefined ? '' : `.${fraction}`}Z` : undefined
}
