import { test } from 'node:test'
import { cronJobHistory } from './history.fake.ts'

for (const concurrencyPolicy of ['Allow', 'Forbid', 'Replace'] as const)
  test(`a cron job after random histories, ${concurrencyPolicy}`, async () => {
    for (let seed = 1; seed <= 2; seed++) await cronJobHistory(seed, concurrencyPolicy)
  })
