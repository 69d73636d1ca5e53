import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addonPath } from './load.ts'

const here = { env: {}, platform: 'linux', arch: 'arm64' } as const
const found = (...there: string[]) => addonPath(here, (path) => there.some((end) => path.endsWith(end))).replace(import.meta.dirname, '')

test('a local build comes first, then the prebuilt one of the platform', () => {
  assert.equal(found('/build/arm64/nft.node', '/prebuilds/linux-arm64/node.napi.node'), '/build/arm64/nft.node')
  assert.equal(found('/build/x64/nft.node', '/prebuilds/linux-arm64/node.napi.node'), '/prebuilds/linux-arm64/node.napi.node')
  assert.throws(() => found('/build/x64/nft.node', '/prebuilds/linux-x64/node.napi.node'), /not built for linux-arm64/)
  assert.equal(
    addonPath({ ...here, env: { NFT_JS_ADDON: '/elsewhere.node' } }, () => false),
    '/elsewhere.node',
  )
})
