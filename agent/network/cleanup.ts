// Takes everything of ours out of a network namespace, whether an agent runs, crashed or never was.

import { join } from 'node:path'
import { AF_INET, AF_INET6, deleteLink, deleteRoute, openRtnetlink } from 'nft-js'
import { isOwnLink, routeProtocol } from './names.ts'
import { otherOwner } from './owner.ts'
import { listSandboxes, unpinSandbox } from './sandbox.ts'
import { restoreSysctls } from './sysctls.ts'

/** Where an agent's network keeps its files. */
export const places = (dataDir: string) => ({ sandboxes: join(dataDir, 'netns'), sysctls: join(dataDir, 'sysctls.json') })

/**
 * Deletes all pod sandboxes, links and routes, and restores sysctls; where the network is another agent's
 * (owner.ts), only the sandboxes, and `ours` in the answer is false. Every step is tried; then an
 * AggregateError tells of those that failed. `netns` is the agent's namespace, absent the process's own.
 */
export const cleanupNetwork = async ({ dataDir, netns }: { dataDir: string; netns?: string }): Promise<{ ours: boolean }> => {
  const { sandboxes, sysctls } = places(dataDir)
  const errors: unknown[] = []
  const attempt = async (step: () => Promise<void>) => {
    try {
      await step()
    } catch (error) {
      errors.push(error)
    }
  }
  let ours = true
  await attempt(async () => {
    for (const uid of await listSandboxes(sandboxes)) await attempt(() => unpinSandbox(sandboxes, uid))
  })
  await attempt(async () => {
    await using rt = await openRtnetlink({ netns })
    ours = (await otherOwner(rt, dataDir)) === undefined
    if (!ours) return
    const tolerate = ['ENODEV', 'ESRCH']
    for (const family of [AF_INET, AF_INET6] as const)
      await attempt(async () => rt.run((await rt.routes({ family, protocol: routeProtocol })).map(deleteRoute), { tolerate }))
    for (const { name } of await rt.links()) if (isOwnLink(name)) await attempt(() => rt.run([deleteLink(name)], { tolerate }))
  })
  if (ours) await attempt(() => restoreSysctls({ file: sysctls, netns }))
  if (errors.length > 0) throw new AggregateError(errors, 'the pod network could not be taken down whole')
  return { ours }
}
