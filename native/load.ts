// Which file the addon is: one built here, or the prebuilt one of the platform.

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** Where the package is: its JavaScript lies in dist/, its TypeScript at the top. */
const root = new URL(import.meta.url.endsWith('.ts') ? '.' : '..', import.meta.url)

/**
 * A build of this very place comes first, `make`'s or node-gyp's: who built here means it. `NFT_JS_ADDON` names
 * another file; the tests run one with a sanitizer in it.
 */
export const addonPath = (
  { env, platform, arch }: Pick<NodeJS.Process, 'env' | 'platform' | 'arch'>,
  exists: (path: string) => boolean,
): string => {
  if (env.NFT_JS_ADDON) return env.NFT_JS_ADDON
  const places = [`build/${arch}/nft.node`, 'build/Release/nft.node', `prebuilds/${platform}-${arch}/node.napi.node`].map((place) =>
    fileURLToPath(new URL(place, root)),
  )
  const found = places.find(exists)
  if (found === undefined)
    throw new Error(`nft-js is not built for ${platform}-${arch}: none of ${places.join(', ')} is there; make -C native`)
  return found
}

export const loadAddon = (): unknown => createRequire(import.meta.url)(addonPath(process, existsSync))
