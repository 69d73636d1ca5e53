// Whose a network namespace is. Links, routes, addresses and rules of an agent have the same names whoever
// made them, so there is room for one agent in each: the alias of its first link, the bridge, names the agent
// by its folder. It outlives the agent, as what it stands for does.

import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { resolve } from 'node:path'
import { openRtnetlink, type Rtnetlink, SysError } from 'nft-js'
import { bridgeName } from './names.ts'

/** An alias has 255 bytes (IFALIASZ, linux/if.h). */
const longest = 200

/** What the bridge of the agent with this folder says. */
export const aliasOf = async (dataDir: string): Promise<string> => {
  const folder = await realpath(dataDir).catch(() => resolve(dataDir))
  const fits = Buffer.byteLength(folder) <= longest
  return `coracle agent, --data-dir ${fits ? folder : createHash('sha256').update(folder).digest('hex')}`
}

/** The alias of another agent whose network this is; undefined where it is this one's, or nobody's. */
export const otherOwner = async (rt: Rtnetlink, dataDir: string): Promise<string | undefined> => {
  const alias = (await rt.link(bridgeName))?.alias
  return alias !== undefined && alias !== '' && alias !== (await aliasOf(dataDir)) ? alias : undefined
}

/** Throws EBUSY where it is another agent's. */
export const refuseOther = async (rt: Rtnetlink, dataDir: string): Promise<void> => {
  const other = await otherOwner(rt, dataDir)
  if (other === undefined) return
  throw new SysError(
    'EBUSY',
    'pod network',
    `this network namespace is another's (${other}), and there is room for one; 'coracle agent --cleanup' with that folder frees it`,
  )
}

/** As `refuseOther`, for who has no connection yet. */
export const refuseOtherAgent = async (dataDir: string, netns?: string): Promise<void> => {
  await using rt = await openRtnetlink({ netns })
  await refuseOther(rt, dataDir)
}
