// The five fields of a cron schedule, and the words for what is wrong with one (those of robfig/cron v3,
// which Kubernetes' users know).

/** The minutes, hours, days of the month, months and days of the week (0 is Sunday) that match. */
export type CronSchedule = {
  minutes: ReadonlySet<number>
  hours: ReadonlySet<number>
  days: ReadonlySet<number>
  months: ReadonlySet<number>
  weekdays: ReadonlySet<number>
  /** A day must match both lists if one of them is open, either one otherwise (crontab(5)). */
  anyDay: boolean
}
/** Seconds between two times of an `@every` schedule. */
export type Interval = { every: number }

export class CronError extends Error {}

type Bounds = { min: number; max: number; names?: readonly string[] }

const bounds: Record<'minutes' | 'hours' | 'days' | 'months' | 'weekdays', Bounds> = {
  minutes: { min: 0, max: 59 },
  hours: { min: 0, max: 23 },
  days: { min: 1, max: 31 },
  months: { min: 1, max: 12, names: ['', 'jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  weekdays: { min: 0, max: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
}

const descriptors: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

const durationUnits: Record<string, number> = { ns: 1e-9, us: 1e-6, µs: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 }

/** Throws CronError. A leading `TZ=` or `CRON_TZ=` is passed over: the caller judges it. */
export function parseCron(text: string): CronSchedule | Interval {
  if (text === '') throw new CronError('empty spec string')
  const spec = text.replace(/^(CRON_)?TZ=\S*\s*/, '').trim()
  if (spec.startsWith('@every ')) return { every: duration(spec.slice('@every '.length)) }
  if (spec.startsWith('@') && !descriptors[spec]) throw new CronError(`unrecognized descriptor: ${spec}`)
  const fields = (descriptors[spec] ?? spec).split(/\s+/).filter(Boolean)
  if (fields.length !== 5) throw new CronError(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`)
  const [minutes, hours, days, months, weekdays] = fields as [string, string, string, string, string]
  const isOpen = (field: string) => field.split(',').some((part) => /^[*?]/.test(part))
  return {
    minutes: fieldOf(minutes, bounds.minutes),
    hours: fieldOf(hours, bounds.hours),
    days: fieldOf(days, bounds.days),
    months: fieldOf(months, bounds.months),
    weekdays: fieldOf(weekdays, bounds.weekdays),
    anyDay: !isOpen(days) && !isOpen(weekdays),
  }
}

function fieldOf(text: string, within: Bounds): Set<number> {
  const values = new Set<number>()
  for (const part of text.split(',').filter(Boolean)) {
    const { start, end, step } = rangeOf(part, within)
    for (let value = start; value <= end; value += step) values.add(value)
  }
  return values
}

function rangeOf(part: string, { min, max, names }: Bounds): { start: number; end: number; step: number } {
  const [range = '', stepText, ...moreSteps] = part.split('/')
  const [low = '', high, ...moreHyphens] = range.split('-')
  const isOpen = low === '*' || low === '?'
  if (!isOpen && moreHyphens.length > 0) throw new CronError(`too many hyphens: ${part}`)
  const start = isOpen ? min : numberOf(low, names)
  let end = isOpen ? max : high === undefined ? start : numberOf(high, names)
  if (moreSteps.length > 0) throw new CronError(`too many slashes: ${part}`)
  const step = stepText === undefined ? 1 : numberOf(stepText)
  if (stepText !== undefined && !isOpen && high === undefined) end = max
  if (start < min) throw new CronError(`beginning of range (${start}) below minimum (${min}): ${part}`)
  if (end > max) throw new CronError(`end of range (${end}) above maximum (${max}): ${part}`)
  if (start > end) throw new CronError(`beginning of range (${start}) beyond end of range (${end}): ${part}`)
  if (step === 0) throw new CronError(`step of range should be a positive number: ${part}`)
  return { start, end, step }
}

function numberOf(text: string, names?: readonly string[]): number {
  const named = text === '' ? -1 : (names?.indexOf(text.toLowerCase()) ?? -1)
  if (named >= 0) return named
  if (!/^[+-]?\d+$/.test(text))
    throw new CronError(`failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`)
  const number = Number(text)
  if (number < 0) throw new CronError(`negative number (${number}) not allowed: ${text}`)
  return number
}

/** Whole seconds, at least one. */
function duration(text: string): number {
  if (!/^\+?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$/.test(text))
    throw new CronError(`failed to parse duration @every ${text}: time: invalid duration ${JSON.stringify(text)}`)
  let seconds = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g))
    seconds += Number(amount) * (durationUnits[unit ?? ''] ?? 0)
  return Math.max(Math.floor(seconds), 1)
}
