import { test } from 'node:test'
import { fakeNft, openNft } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { runModel } from './model.fixture.ts'

test('after any sequence of changes the tables are as made from nothing, and connections fare as the objects say', () =>
  runModel(fakeNft(), { steps: 60, seed: 42, connections: 20 }))

test('so it is in the kernel', { skip: needsRoot }, async (t) => {
  const nft = await openNft({ netns: await freshNetns(t) })
  t.after(() => nft.close())
  await runModel(nft, { steps: 30, seed: 7, connections: 20 })
})
