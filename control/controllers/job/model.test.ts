import { test } from 'node:test'
import { jobHistory } from './history.fake.ts'

for (const completionMode of ['NonIndexed', 'Indexed'] as const) {
  for (const podReplacementPolicy of ['TerminatingOrFailed', 'Failed'] as const) {
    test(`${completionMode}, replaced when ${podReplacementPolicy}`, async () => {
      for (let seed = 1; seed <= 8; seed++) await jobHistory(seed, { completionMode, podReplacementPolicy })
    })
  }
}
