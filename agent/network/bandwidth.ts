// How fast a pod may receive and send: what its annotations say, as Kubernetes reads them, and a token
// bucket on the host's end of its veth pair for the one direction. For the other, what comes from the pod is
// led through an ifb with a bucket of its own. Both are on the host, out of reach of what runs in the pod.

import {
  addIfb,
  addIngress,
  type Command,
  deleteLink,
  openRtnetlink,
  redirectIngress,
  replaceTokenBucket,
  SysError,
  setLink,
  type TokenBucket,
} from 'nft-js'
import { compareQuantity, isQuantity, units } from '#api/quantity.ts'
import { ifbName, isIfbName, vethName } from './names.ts'

/** Bits a second. */
export type Bandwidth = { ingress?: number; egress?: number }

const annotations = { ingress: 'kubernetes.io/ingress-bandwidth', egress: 'kubernetes.io/egress-bandwidth' } as const
const [least, most] = ['1k', '1P']

/** Throws an Error that names the annotation. */
export const bandwidthOf = (pod: Readonly<Record<string, string>> = {}): Bandwidth => {
  const found: Bandwidth = {}
  for (const direction of ['ingress', 'egress'] as const) {
    const name = annotations[direction]
    const text = pod[name]
    if (text === undefined) continue
    if (!isQuantity(text)) throw new Error(`annotation ${name}: ${JSON.stringify(text)} is no quantity of bits a second`)
    if (compareQuantity(text, least) < 0) throw new Error(`annotation ${name}: ${text} is unreasonably small (less than ${least} bit/s)`)
    if (compareQuantity(text, most) > 0) throw new Error(`annotation ${name}: ${text} is unreasonably large (more than ${most} bit/s)`)
    found[direction] = units(text)
  }
  return found
}

/** Seconds' worth of a rate that may be sent at once, and that may wait. */
const BURST_S = 0.02
const WAIT_S = 0.05
/** Whole packets must fit, also those of a pod that may send little. */
const leastBurst = 4_096
const mostBurst = 0x7fff_ffff

export const bucketOf = (bits: number): TokenBucket => {
  const rate = Math.ceil(bits / 8)
  const burst = Math.min(Math.max(leastBurst, Math.ceil(rate * BURST_S)), mostBurst)
  return { rate, burst, limit: Math.min(burst + Math.max(leastBurst, Math.ceil(rate * WAIT_S)), mostBurst) }
}

export interface Limiter {
  /** Holds a pod that has its veth pair to its limits. Idempotent; without limits it does nothing. */
  limit(uid: string, bandwidth: Bandwidth): Promise<void>
  /** Idempotent; for a pod that is gone. */
  release(uid: string): Promise<void>
  close(): void
}

/** Removes what pods left that went while no agent was there. */
export const openLimiter = async (options: { netns?: string } = {}): Promise<Limiter> => {
  const rt = await openRtnetlink(options)
  const links = await rt.links()
  const names = new Set(links.map(({ name }) => name))
  const stray = links.filter(({ name, alias }) => isIfbName(name) && !names.has(vethName(alias?.replace(/^pod /, '') ?? '')))
  await rt.run(
    stray.map(({ index }) => deleteLink(index)),
    { tolerate: ['ENODEV'] },
  )

  const ensureIfb = async (uid: string, mtu: number): Promise<number> => {
    const name = ifbName(uid)
    if (!(await rt.link(name))) await rt.run([addIfb({ name, mtu })])
    await rt.run([setLink(name, { alias: `pod ${uid}`, ipv6LinkLocal: false, up: true })])
    return (await rt.link(name))?.index as number
  }

  return {
    async limit(uid, { ingress, egress }) {
      if (ingress === undefined && egress === undefined) return
      const veth = await rt.link(vethName(uid))
      if (!veth) throw new SysError('ENODEV', 'bandwidth', `pod ${uid}`)
      const commands: Command[] = []
      // What the host sends into the pair is what the pod receives.
      if (ingress !== undefined) commands.push(replaceTokenBucket(veth.index, bucketOf(ingress)))
      if (egress !== undefined) {
        const ifb = await ensureIfb(uid, veth.mtu)
        commands.push(replaceTokenBucket(ifb, bucketOf(egress)), addIngress(veth.index), redirectIngress(veth.index, ifb))
      }
      await rt.run(commands, { tolerate: ['EEXIST'] })
    },
    release: (uid) => rt.run([deleteLink(ifbName(uid))], { tolerate: ['ENODEV'] }),
    close: () => rt.close(),
  }
}
