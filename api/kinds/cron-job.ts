import { CronJob } from './index.ts'
import { since } from './rules/age.ts'
import { ageColumn, nameColumn, none, templateColumns } from './rules/columns.ts'
import { CronError, parseCron } from './rules/cron-schedule.ts'
import type { Faults } from './rules/faults.ts'
import { jobWarnings, validateJobSpec } from './rules/job-validation.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { workloadWarnings } from './rules/pod-warnings.ts'
import type { KindSpec } from './spec.ts'

/** The jobs are named after it, with 11 characters more. */
const longestName = 52

export const cronJob: KindSpec<CronJob> = {
  kind: CronJob,
  singular: 'cronjob',
  shortNames: ['cj'],
  categories: ['all'],
  status: true,
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Schedule', cell: (c) => c.spec.schedule },
    { name: 'Timezone', cell: (c) => c.spec.timeZone ?? none },
    { name: 'Suspend', cell: (c) => (c.spec.suspend === undefined ? '<unset>' : c.spec.suspend ? 'True' : 'False') },
    { name: 'Active', type: 'integer', cell: (c) => c.status?.active?.length ?? 0 },
    { name: 'Last Schedule', cell: (c, now) => (c.status?.lastScheduleTime ? since(c.status.lastScheduleTime, now) : none) },
    ageColumn,
    ...templateColumns<CronJob>(
      (c) => c.spec.jobTemplate.spec.template.spec?.containers ?? [],
      (c) => c.spec.jobTemplate.spec.selector,
    ),
  ],
  defaults({ spec }) {
    if (!spec) return
    spec.concurrencyPolicy ??= 'Allow'
    spec.suspend ??= false
    spec.successfulJobsHistoryLimit ??= 3
    spec.failedJobsHistoryLimit ??= 1
    const pod = spec.jobTemplate?.spec?.template?.spec
    if (pod) defaultPodSpec(pod)
  },
  prepareCreate(c) {
    c.status = {}
  },
  *warnings({ metadata, spec }) {
    yield* workloadWarnings(metadata.name, spec.jobTemplate.spec.template, 'spec.jobTemplate.spec.template')
    yield* jobWarnings('spec.jobTemplate.spec', spec.jobTemplate.spec)
  },
  validate({ metadata: { name }, spec }, faults) {
    if (name.length > longestName) faults.invalid('metadata.name', name, `must be no more than ${longestName} characters`)
    if (!spec) return faults.required('spec')
    if (!spec.schedule) faults.required('spec.schedule')
    else validateSchedule(spec.schedule, faults)
    faults.notNegative('spec.startingDeadlineSeconds', spec.startingDeadlineSeconds)
    if (spec.timeZone !== undefined) validateTimeZone(spec.timeZone, faults)
    faults.oneOf('spec.concurrencyPolicy', spec.concurrencyPolicy, ['Allow', 'Forbid', 'Replace'])
    const template = spec.jobTemplate?.spec
    if (!template) faults.required('spec.jobTemplate.spec')
    else {
      validateJobSpec('spec.jobTemplate.spec', template, faults)
      if (template.selector) faults.invalid('spec.jobTemplate.spec.selector', template.selector, '`selector` will be auto-generated')
      if (template.manualSelector) faults.notSupported('spec.jobTemplate.spec.manualSelector', true, ['nil', 'false'])
    }
    faults.notNegative('spec.successfulJobsHistoryLimit', spec.successfulJobsHistoryLimit)
    faults.notNegative('spec.failedJobsHistoryLimit', spec.failedJobsHistoryLimit)
  },
}

function validateSchedule(schedule: string, faults: Faults): void {
  try {
    parseCron(schedule)
  } catch (error) {
    if (!(error instanceof CronError)) throw error
    faults.invalid('spec.schedule', schedule, error.message)
  }
  if (schedule.includes('TZ')) faults.invalid('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead')
}

function validateTimeZone(zone: string, faults: Faults): void {
  const field = 'spec.timeZone'
  if (zone === '') return faults.invalid(field, zone, 'timeZone must be nil or non-empty string')
  if (zone.toLowerCase() === 'local')
    return faults.invalid(field, zone, 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones')
  const sound = zone.split('/').every((part) => part !== '.' && part !== '..' && /^[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}$/.test(part))
  if (!sound || !isTimeZone(zone)) faults.invalid(field, zone, `unknown time zone ${zone}`)
}

function isTimeZone(zone: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}
