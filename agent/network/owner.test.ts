import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSysError } from 'nft-js'
import { ensureDnsLink } from '../cni/dns-link.ts'
import { cleanupNetwork } from './cleanup.ts'
import { openPodNetwork } from './network.ts'
import { inside, makeNode, pod, scoped } from './nodes.fixture.ts'
import { aliasOf, refuseOtherAgent } from './owner.ts'

const refused = (dataDir: string) => (error: unknown) => isSysError(error, 'EBUSY') && error.message.includes(dataDir)

test('a network namespace is one agent’s: another is refused, and its cleanup leaves what is there', async (t) => {
  const scope = scoped(t)
  const node = await makeNode(scope, 1)
  const other = mkdtempSync(join(tmpdir(), 'agent-other-'))
  scope.after(() => rmSync(other, { recursive: true }))
  const network = await openPodNetwork(node)
  await network.setup(pod('a'))
  await network.close()

  await refuseOtherAgent(node.dataDir, node.netns)
  await assert.rejects(refuseOtherAgent(other, node.netns), refused(node.dataDir))
  await assert.rejects(openPodNetwork({ ...node, dataDir: other }), refused(node.dataDir))
  await assert.rejects(ensureDnsLink(['10.43.0.10'], { dataDir: other, netns: node.netns }), refused(node.dataDir))

  const before = await inside(node.netns, 'ip', 'address')
  assert.deepEqual(await cleanupNetwork({ dataDir: other, netns: node.netns }), { ours: false })
  assert.equal(await inside(node.netns, 'ip', 'address'), before)
  assert.equal((await inside(node.netns, 'cat', '/proc/sys/net/ipv4/ip_forward')).trim(), '1')

  assert.deepEqual(await cleanupNetwork({ dataDir: node.dataDir, netns: node.netns }), { ours: true })
  const next = await openPodNetwork({ ...node, dataDir: other })
  await next.close()
  assert.match(await inside(node.netns, 'ip', 'link', 'show', 'coracle0'), new RegExp(`alias ${await aliasOf(other)}`))
  await cleanupNetwork({ dataDir: other, netns: node.netns })
})

test('an owner of a time before links told whose they are is taken for this one; a folder of any length has an alias', async (t) => {
  const scope = scoped(t)
  const node = await makeNode(scope, 1)
  await inside(node.netns, 'ip', 'link', 'add', 'coracle0', 'type', 'bridge')
  await refuseOtherAgent(node.dataDir, node.netns)
  await (await openPodNetwork(node)).close()
  assert.match(await inside(node.netns, 'ip', 'link', 'show', 'coracle0'), new RegExp(`alias ${await aliasOf(node.dataDir)}`))
  const long = `/${'d'.repeat(1000)}`
  assert.ok((await aliasOf(long)).length < 256)
  assert.notEqual(await aliasOf(long), await aliasOf(`${long}d`))
})
