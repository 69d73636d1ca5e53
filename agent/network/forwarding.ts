// What the host must be told so that it forwards for pods.

import { type Rtnetlink, readSysctl } from 'nft-js'
import type { Cidr } from '#api/cidr.ts'
import { bridgeName, isVethName, tunnelName } from './names.ts'

/**
 * Forwarding on; no redirects to pods, whose neighbours are behind the host although on the same
 * link (the kernel sends them if either `all` or the link says so).
 */
const sysctls4 = { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.all.send_redirects': '0' }
const forwarding6 = 'net.ipv6.conf.all.forwarding'

/** The settings to make, in their order. */
export const forwardingSysctls = async (options: {
  rt: Rtnetlink
  netns?: string
  cidrs: readonly Cidr[]
}): Promise<Record<string, string>> => {
  const { rt, netns, cidrs } = options
  if (!cidrs.some(({ family }) => family === 'IPv6')) return sysctls4
  const listeners: Record<string, string> = {}
  // A host that forwards IPv6 forgets the routers that it heard of, and hears of no others, unless it was told
  // before to go on listening (2 in place of 1).
  if ((await readSysctl(forwarding6, netns)) === '0') {
    const links = (await rt.links())
      .map(({ name }) => name)
      .filter((name) => name !== bridgeName && name !== tunnelName && !isVethName(name))
    for (const link of ['default', ...links]) {
      const name = `net/ipv6/conf/${link}/accept_ra`
      if ((await readSysctl(name, netns)) === '1') listeners[name] = '2'
    }
  }
  return { ...sysctls4, ...listeners, [forwarding6]: '1' }
}
