import { freshNetns, needsRoot } from '../testing/fresh-netns.ts'
import { nftConformance } from './conformance.ts'
import { fakeNft } from './fake.ts'
import { openNft } from './kernel.ts'

nftConformance('fake', async () => fakeNft(), { flowtables: true })
nftConformance('kernel', async (t) => openNft({ netns: await freshNetns(t) }), { skip: needsRoot })
