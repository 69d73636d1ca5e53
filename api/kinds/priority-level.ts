import type { LimitResponse } from '../types/flowcontrol-v1.gen.ts'
import { PriorityLevelConfiguration } from './index.ts'
import { ageColumn, nameColumn, none } from './rules/columns.ts'
import { validateConditionTypes } from './rules/conditions.ts'
import type { Faults } from './rules/faults.ts'
import { isDns1123Subdomain } from './rules/names.ts'
import type { KindSpec } from './spec.ts'

const mostQueues = 10_000_000
/** Of the hash that deals requests to queues. */
const hashBits = 60

export const priorityLevelConfiguration: KindSpec<PriorityLevelConfiguration> = {
  kind: PriorityLevelConfiguration,
  singular: 'prioritylevelconfiguration',
  status: true,
  statusMeta: [],
  generation: true,
  nameRule: isDns1123Subdomain,
  columns: [
    nameColumn,
    { name: 'Type', cell: ({ spec }) => spec.type },
    { name: 'NominalConcurrencyShares', cell: ({ spec }) => spec.limited?.nominalConcurrencyShares ?? none },
    { name: 'Queues', cell: ({ spec }) => spec.limited?.limitResponse.queuing?.queues ?? none },
    { name: 'HandSize', cell: ({ spec }) => spec.limited?.limitResponse.queuing?.handSize ?? none },
    { name: 'QueueLengthLimit', cell: ({ spec }) => spec.limited?.limitResponse.queuing?.queueLengthLimit ?? none },
    ageColumn,
  ],
  defaults({ spec }) {
    if (spec?.exempt) {
      spec.exempt.nominalConcurrencyShares ??= 0
      spec.exempt.lendablePercent ??= 0
    }
    if (!spec?.limited) return
    spec.limited.nominalConcurrencyShares ??= 30
    spec.limited.lendablePercent ??= 0
    const queuing = spec.limited.limitResponse?.queuing
    if (!queuing) return
    queuing.queues ||= 64
    queuing.handSize ||= 8
    queuing.queueLengthLimit ||= 50
  },
  prepareCreate(level) {
    level.status = {}
  },
  validateUpdate({ status }, _previous, faults) {
    validateConditionTypes('status.conditions', status?.conditions, faults)
  },
  validate({ metadata: { name }, spec }, faults) {
    if ((name === 'exempt') !== (spec.type === 'Exempt'))
      faults.invalid('spec.type', spec.type, "type must be 'Exempt' if and only if name is 'exempt'")
    if (spec.type === 'Exempt') {
      if (spec.limited) faults.forbidden('spec.limited', 'must be nil if the type is not Limited')
    } else if (spec.type === 'Limited') {
      if (spec.exempt) faults.forbidden('spec.exempt', 'must be nil if the type is Limited')
      if (!spec.limited) faults.required('spec.limited', 'must not be empty when type is Limited')
      else validateLimited(spec.limited, faults)
    } else faults.notSupported('spec.type', spec.type, ['Exempt', 'Limited'])
    validatePercent('spec.exempt.lendablePercent', spec.exempt?.lendablePercent, faults)
    faults.notNegative('spec.exempt.nominalConcurrencyShares', spec.exempt?.nominalConcurrencyShares)
  },
}

function validatePercent(field: string, percent: number | undefined, faults: Faults): void {
  if (percent !== undefined && (percent < 0 || percent > 100)) faults.invalid(field, percent, 'must be between 0 and 100, inclusive')
}

function validateLimited(limited: NonNullable<PriorityLevelConfiguration['spec']['limited']>, faults: Faults): void {
  const at = 'spec.limited'
  const { nominalConcurrencyShares: shares, lendablePercent, borrowingLimitPercent: borrowing, limitResponse } = limited
  if (shares !== undefined && shares < 0) faults.invalid(`${at}.nominalConcurrencyShares`, shares, 'must be a non-negative integer')
  validatePercent(`${at}.lendablePercent`, lendablePercent, faults)
  if (borrowing !== undefined && borrowing < 0)
    faults.invalid(`${at}.borrowingLimitPercent`, borrowing, 'if specified, must be a non-negative integer')
  validateResponse(`${at}.limitResponse`, limitResponse, faults)
}

function validateResponse(at: string, response: LimitResponse | undefined, faults: Faults): void {
  const { type, queuing } = response ?? {}
  if (type === 'Reject') {
    if (queuing) faults.forbidden(`${at}.queuing`, 'must be nil if limited.limitResponse.type is not Limited')
    return
  }
  if (type !== 'Queue') return faults.notSupported(`${at}.type`, type ?? '', ['Queue', 'Reject'])
  if (!queuing) return faults.required(`${at}.queuing`, 'must not be empty if limited.limitResponse.type is Limited')
  const { queues, handSize, queueLengthLimit } = queuing
  if (queueLengthLimit <= 0) faults.invalid(`${at}.queuing.queueLengthLimit`, queueLengthLimit, 'must be positive')
  if (queues <= 0) faults.invalid(`${at}.queuing.queues`, queues, 'must be positive')
  else if (queues > mostQueues) faults.invalid(`${at}.queuing.queues`, queues, `must not be greater than ${mostQueues}`)
  if (handSize <= 0) faults.invalid(`${at}.queuing.handSize`, handSize, 'must be positive')
  else if (handSize > queues) faults.invalid(`${at}.queuing.handSize`, handSize, `should not be greater than queues (${queues})`)
  else if (entropyBits(queues, handSize) > hashBits)
    faults.invalid(
      `${at}.queuing.handSize`,
      handSize,
      `required entropy bits of deckSize ${queues} and handSize ${handSize} should not be greater than ${hashBits}`,
    )
}

/** Bits it takes to deal a hand of queues, each a little less than the one before; counted no further than to be too many. */
function entropyBits(queues: number, handSize: number): number {
  let bits = 0
  for (let card = 0; card < handSize && bits <= hashBits; card += 1) bits += Math.log2(queues - card)
  return Math.ceil(bits)
}
