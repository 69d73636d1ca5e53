import { test } from 'node:test'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { realPackets } from './packets.fixture.ts'

test('real packets', { skip: needsRoot }, (t) => realPackets(t, 'nftables'))
