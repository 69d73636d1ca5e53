// When a cron schedule falls due, in a time zone. Whatever lies between two instants, a minute or ten years,
// costs the same: days are stepped over by their date, and minutes looked up within one.
//
// Where clocks go forward, a time that does not exist does not fall due. Where they go back, a schedule of all
// hours runs on through both of them; any other falls due the first time only, so that 02:00 is once a night.

import type { CronSchedule, Interval } from '#api/kinds/rules/cron-schedule.ts'

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs
/** Beyond this many days a schedule never falls due: the longest wait is for a 29th of February across 2100. */
const horizon = 8 * 366 + 1
/** No place is further from Greenwich. */
const furthestMs = 15 * 60 * minuteMs

export type Schedule = CronSchedule | Interval

/** The last instant in (`from`, `to`]; intervals are counted from `from`. All in milliseconds since the epoch. */
export function lastDue(schedule: Schedule, zone: string | undefined, from: number, to: number): number | undefined {
  if (to <= from) return undefined
  if ('every' in schedule) {
    const step = schedule.every * 1000
    const count = Math.floor((to - from) / step)
    return count > 0 ? from + count * step : undefined
  }
  const minutes = minutesOf(schedule)
  // A day more on either side: where clocks change at midnight, an instant may be of the day after or before.
  const first = Math.floor((from - furthestMs) / dayMs)
  let day = Math.floor((to + furthestMs) / dayMs)
  for (const end = Math.max(first, day - horizon); day >= end; day--) {
    if (!matchesDay(schedule, day)) continue
    const found = instantsOf(minutes, zone, day).findLast((at) => at <= to)
    if (found !== undefined) return found > from ? found : undefined
  }
  return undefined
}

/** The first instant after `to`; intervals are counted from `from`. */
export function nextDue(schedule: Schedule, zone: string | undefined, from: number, to: number): number | undefined {
  if ('every' in schedule) {
    const step = schedule.every * 1000
    return from + Math.max(1, Math.floor((to - from) / step) + 1) * step
  }
  const minutes = minutesOf(schedule)
  let day = Math.floor((to - furthestMs) / dayMs)
  for (const end = day + horizon; day <= end; day++) {
    if (!matchesDay(schedule, day)) continue
    const found = instantsOf(minutes, zone, day).find((at) => at > to)
    if (found !== undefined) return found
  }
  return undefined
}

function matchesDay({ days, months, weekdays, anyDay }: CronSchedule, day: number): boolean {
  const date = new Date(day * dayMs)
  if (!months.has(date.getUTCMonth() + 1)) return false
  const [byDate, byWeekday] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay())]
  return anyDay ? byDate || byWeekday : byDate && byWeekday
}

type Minutes = { ofDay: readonly number[]; allHours: boolean }

function minutesOf({ hours, minutes }: CronSchedule): Minutes {
  const sorted = [...minutes].sort((a, b) => a - b)
  return {
    ofDay: [...hours].sort((a, b) => a - b).flatMap((hour) => sorted.map((minute) => hour * 60 + minute)),
    allHours: hours.size === 24,
  }
}

/** In order: the instants at which clocks on the wall show these minutes of this day (days since the epoch, as on the wall). */
function instantsOf({ ofDay, allHours }: Minutes, zone: string | undefined, day: number): number[] {
  const start = day * dayMs
  const [before, after] = offsetsAround(zone, day)
  if (before === after) return ofDay.map((minute) => start + minute * minuteMs - before)
  const found = new Set<number>()
  for (const minute of ofDay) {
    const wall = start + minute * minuteMs
    const instants = [wall - before, wall - after].filter((at) => at + offsetAt(zone, at) === wall).sort((a, b) => a - b)
    for (const at of allHours ? instants : instants.slice(0, 1)) found.add(at)
  }
  return [...found].sort((a, b) => a - b)
}

const known = new Map<string, readonly [number, number]>()
/** Few days are asked about again and again, by every schedule in turn. */
const knownMax = 256

/** The offsets shortly before and after a day: the same unless clocks change about then. */
function offsetsAround(zone: string | undefined, day: number): readonly [number, number] {
  const key = `${zone ?? ''} ${day}`
  const found = known.get(key)
  if (found) return found
  const made = [offsetAt(zone, day * dayMs - furthestMs), offsetAt(zone, (day + 1) * dayMs + furthestMs)] as const
  if (known.size >= knownMax) known.clear()
  known.set(key, made)
  return made
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** How far clocks on the wall are ahead of UTC, in milliseconds. Without a zone: those of this machine. */
export function offsetAt(zone: string | undefined, at: number): number {
  const name = zone ?? ''
  let format = formats.get(name)
  if (!format) {
    const fields = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' } as const
    format = new Intl.DateTimeFormat('en-US', { ...fields, hourCycle: 'h23', ...(zone && { timeZone: zone }) })
    formats.set(name, format)
  }
  const part: Record<string, number> = {}
  for (const { type, value } of format.formatToParts(at)) part[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1000) * 1000
}
