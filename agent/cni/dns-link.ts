// The cluster's DNS addresses need a link of ours to be on, where the pod network has none: a bridge
// without ports, named as the one of our own pod network, whose cleanup takes it, too.

import { addAddress, addBridge, deleteAddress, openRtnetlink, setLink } from 'nft-js'
import { bridgeName } from '../network/names.ts'
import { aliasOf, refuseOther } from '../network/owner.ts'

type Place = { /** The agent's folder, by which the link is known as its own. */ dataDir: string; netns?: string }

export const ensureDnsLink = async (addresses: readonly string[], { dataDir, netns }: Place): Promise<void> => {
  await using rt = await openRtnetlink({ netns })
  await refuseOther(rt, dataDir)
  await rt.run([addBridge({ name: bridgeName })], { tolerate: ['EEXIST'] })
  await rt.run([setLink(bridgeName, { alias: await aliasOf(dataDir), up: true, ipv6LinkLocal: false })])
  const link = (await rt.link(bridgeName))?.index ?? 0
  const current = (await rt.addresses(link)).filter(({ scope }) => scope === 0)
  await rt.run([
    ...current.filter(({ address }) => !addresses.includes(address)).map(deleteAddress),
    ...addresses
      .filter((address) => !current.some((has) => has.address === address))
      .map((address) => addAddress({ link, address, prefix: address.includes(':') ? 128 : 32 })),
  ])
}
