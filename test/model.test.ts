// The model tests of services, policies and workloads, longer and from another seed each time; one that fails names it.

import { test } from 'node:test'
import { fakeNft, openNft } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { runModel as policies } from '#agent/policy/model.fixture.ts'
import { runModel as services } from '#agent/proxy/model.fixture.ts'
import { cronJobHistory } from '#control/controllers/cron-job/history.fake.ts'
import { daemonSetHistory, deploymentHistory, statefulSetHistory } from '#control/controllers/histories.fake.ts'
import { jobHistory } from '#control/controllers/job/history.fake.ts'

const seed = Date.now() % 1_000_000

test('services in memory', async () => {
  for (let i = 0; i < 5; i++) await services(fakeNft(), { steps: 150, seed: seed + i, connections: 40 })
})

test('policies in memory', async () => {
  for (let i = 0; i < 4; i++) await policies(fakeNft(), { steps: 100, seed: seed + i })
})

test('both in the kernel', { skip: needsRoot }, async (t) => {
  const nft = await openNft({ netns: await freshNetns(t) })
  t.after(() => nft.close())
  await services(nft, { steps: 150, seed, connections: 20 })
  await policies(nft, { steps: 80, seed })
})

test('workloads in memory', async () => {
  for (let i = 0; i < 5; i++) {
    await deploymentHistory(seed + i, 100)
    await statefulSetHistory(seed + i, 100)
    await daemonSetHistory(seed + i, 100)
  }
})

test('jobs and cron jobs in memory', async () => {
  for (let i = 0; i < 20; i++) {
    for (const completionMode of ['NonIndexed', 'Indexed'] as const)
      await jobHistory(seed + i, { completionMode, podReplacementPolicy: i % 2 ? 'Failed' : 'TerminatingOrFailed' })
  }
  for (const policy of ['Allow', 'Forbid', 'Replace'] as const) await cronJobHistory(seed, policy)
})
