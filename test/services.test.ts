// Services with so many packets that the unit tests would take too long: balance, and connections that
// outlast thousands of changes elsewhere.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openConntrack, openNft } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { bothNetworks, service, slice } from '#agent/proxy/fixtures.ts'
import { addresses, nodeNetwork } from '#agent/proxy/network.fixture.ts'
import { openProxy } from '#agent/proxy/proxy.ts'
import { openRuleset } from '#agent/ruleset/ruleset.ts'
import { silent } from '#api/log.ts'

const connections = 10_000
/** Chi-square of three degrees of freedom is above this once in ten thousand times. */
const mostChiSquare = 21.1

const families = [
  { family: 'ip', ...addresses.ip, web: '10.43.0.1', other: (i: number) => `10.43.${1 + (i >> 8)}.${i & 255}` },
  { family: 'ip6', ...addresses.ip6, web: 'fd00:43::1', other: (i: number) => `fd00:43::1:${i.toString(16)}` },
] as const

test('services under load', { skip: needsRoot }, async (t) => {
  const { node, peers } = await nodeNetwork(t)
  const nft = await openNft({ netns: node })
  const conntrack = await openConntrack({ netns: node })
  t.after(() => {
    nft.close()
    conntrack.close()
  })
  const open = () => openProxy({ ruleset: openRuleset(nft), conntrack, log: silent, nodeName: 'here', networks: bothNetworks })
  let proxy = open()
  const name = (name: string) => ({ namespace: 'default', name })
  const { client, pods } = peers
  await Promise.all(pods.flatMap((pod, i) => [8080, 8081].map((port) => pod.listen('tcp', port, `pod${i}:${port}`))))

  for (const { family, pods: podAddresses, web, other } of families) {
    const endpoints = podAddresses.map((address) => ({ addresses: [address], nodeName: 'here' }))
    const tell = () => {
      proxy.serviceChanged(name('web'), service('web', web))
      for (const port of [8080, 8081])
        proxy.sliceChanged(name(`web-${port}`), slice('web', endpoints, [{ name: '', protocol: 'TCP', port }]))
    }
    tell()
    await proxy.apply()

    await t.test(`${family}: ${connections} connections are spread evenly over four endpoints`, async () => {
      const counts = Object.values(await client.count(web, 80, connections))
      assert.equal(counts.length, 4)
      const expected = connections / 4
      const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
      assert(chiSquare < mostChiSquare, `${counts.join(', ')}: chi-square ${chiSquare}`)
    })

    await t.test(`${family}: a connection outlasts thousands of changes elsewhere, and a restart among them`, async () => {
      const keep = { keep: `${family} kept` }
      const answer = await client.ask('tcp', web, 80, keep)
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 1000; i++) {
          proxy.serviceChanged(name(`s${i}`), service(`s${i}`, other(i)))
          const gone = i % 4 === round
          proxy.sliceChanged(name(`s${i}`), gone ? undefined : slice(`s${i}`, [podAddresses[(i + round) % 2] as string]))
        }
        await proxy.apply()
        assert.equal(await client.ask('tcp', web, 80, keep), answer)
        if (round !== 1) continue
        proxy = open()
        tell()
      }
      proxy = open()
      tell()
      await proxy.apply()
      assert.equal(await client.ask('tcp', web, 80, keep), answer)
      assert.equal((await nft.list(family, 'coracle'))?.sets.find(({ spec }) => spec.name === 'backends')?.elements.count, 4)
    })
  }
})
