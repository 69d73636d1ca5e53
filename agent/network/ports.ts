// The bridge's ports are kept apart: what a pod sends to another of its node goes up to the host and down again. Across
// the bridge no rule would see it, and a pod could answer for another's address.

import { isSysError, openRtnetlink, type Rtnetlink, readSysctl, setBridgePort } from 'nft-js'
import { type Clock, sleep } from '#api/clock.ts'
import type { Log } from '#api/log.ts'
import { isVethName } from './names.ts'

/** How often is looked whether `br_netfilter` came or went, milliseconds: Docker loads it. */
const LOOK_MS = 5_000

const bridgeRules = ['net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables']

/**
 * Not while bridges have the IP layer's rules (`br_netfilter`): then a Service's backend on the same node is reached
 * from port to port, and policies see that.
 */
export const portsApart = async (netns: string | undefined): Promise<boolean> => {
  const values = await Promise.all(bridgeRules.map((name) => readSysctl(name, netns).catch(absent)))
  return !values.includes('1')
}

/** A pod's packet to itself through a Service goes back out of the port it came from where bridges have rules. */
export const portSettings = (isolated: boolean) => ({ hairpin: true, isolated })

/** Settles it for the pods that are there. */
export const applyPorts = async (rt: Rtnetlink, isolated: boolean): Promise<void> => {
  const ports = (await rt.links()).filter(({ name }) => isVethName(name))
  await rt.run(
    ports.map(({ name }) => setBridgePort(name, portSettings(isolated))),
    { tolerate: ['ENODEV'] },
  )
}

/** Settles now and whenever it changes. */
export const keepPortsApart = ({ netns, clock, log }: { netns?: string; clock: Clock; log: Log }): { close(): Promise<void> } => {
  const closing = new AbortController()
  const keeping = (async () => {
    for (let applied: boolean | undefined; !closing.signal.aborted; ) {
      try {
        const isolated = await portsApart(netns)
        if (isolated !== applied) {
          await using rt = await openRtnetlink({ netns })
          await applyPorts(rt, isolated)
        }
        applied = isolated
      } catch (err) {
        log.warn({ err }, 'the ports of the bridge could not be looked at')
      }
      await sleep(clock, LOOK_MS, closing.signal)
    }
  })()
  return {
    async close() {
      closing.abort()
      await keeping
    },
  }
}

const absent = (error: unknown): string => {
  if (isSysError(error, 'ENOENT')) return '0'
  throw error
}
