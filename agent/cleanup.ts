// Takes everything that an agent made out of the host: containers, network, services, mounts, cgroups.
// Works whether the agent crashed, was killed, or never ran. While it runs it would go on with what is taken away
// from under it, so that is refused.

import { rm } from 'node:fs/promises'
import { mounts } from 'nft-js'
import { systemClock } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { cleanupCni } from './cni/network.ts'
import { places } from './folders.ts'
import { isRunning, socketOf } from './local/local.ts'
import { cleanupNetwork } from './network/cleanup.ts'
import { findProgram } from './program.ts'
import { removeRules } from './ruleset/rules.ts'
import { openCgroups } from './runtime/cgroups.ts'
import { openRuntime } from './runtime/containers.ts'
import { mountsUnder } from './volumes/mount-table.ts'

export type CleanupOptions = { dataDir: string; cgroupParent: string; runtime: string; log: Log }

/** Every step runs; then an AggregateError tells of those that failed. Images stay, and so does what the node has joined with. */
export async function cleanupAgent({ dataDir, cgroupParent, runtime, log }: CleanupOptions): Promise<void> {
  if (await isRunning(dataDir)) throw new Error(`the agent of ${dataDir} is running: stop it first`)
  const failures: unknown[] = []
  const step = (work: () => Promise<unknown>) => work().catch((error: unknown) => failures.push(error))
  const { containers, pods, volumes, logs, record } = places(dataDir)

  await step(() => stopContainers(containers, cgroupParent, runtime, log))
  await step(() => cleanupCni({ dataDir }))
  await step(async () => {
    const { ours } = await cleanupNetwork({ dataDir })
    if (!ours) log.warn({ dataDir }, 'the links and rules of this network are those of another agent, and stay')
    else await removeRules({ dataDir, log })
  })
  await step(async () => {
    for (const target of await mountsUnder(dataDir)) await mounts.unmount(target, { detach: true })
    const left = await mountsUnder(dataDir)
    if (left.length > 0) throw new Error(`still mounted: ${left.join(', ')}`)
    await Promise.all(
      [containers, pods, volumes, logs, record, socketOf(dataDir)].map((path) => rm(path, { recursive: true, force: true })),
    )
  })
  await step(async () => (await openCgroups({ parent: cgroupParent })).remove(''))
  if (failures.length > 0) throw new AggregateError(failures, 'not everything could be removed')
}

async function stopContainers(dir: string, parent: string, program: string, log: Log): Promise<void> {
  const cgroups = await openCgroups({ parent })
  const runtime = await openRuntime({ dir, cgroups, mounts, clock: systemClock, log, programs: { runtime: await findProgram(program) } })
  try {
    for (const { id } of await runtime.list()) {
      await runtime.stop(id, { graceSeconds: 0 })
      await runtime.remove(id)
    }
  } finally {
    await runtime.close()
  }
}
