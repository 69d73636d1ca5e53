// Kernel settings that are not ours alone: each is recorded as it was before, in a file, until restored.
// What belongs to our own links goes with them and needs no record. The record is of one boot of the
// machine: after the next, settings are what the host made them, and nothing of ours is left to restore.

import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isSysError, openRtnetlink, readSysctl, writeSysctl } from 'nft-js'

type Place = { /** The record's path. */ file: string; netns?: string }

/** `was` before us, `set` by us. A setting comes before those that the kernel changes along with it. */
type Changes = Record<string, { was: string; set: string }>
type Recorded = { boot: string; changes: Changes }

/** Whether the kernel has the family at all, used or not. */
export const hasIPv6 = (): boolean => existsSync('/proc/sys/net/ipv6')

const bootId = async (): Promise<string> => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()

const recorded = async (file: string): Promise<Changes> => {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
  const { boot, changes } = read(text)
  return boot === (await bootId()) ? (changes ?? {}) : {}
}

/** Nothing of one that a power cut left half written: it is of another boot. */
function read(text: string): Partial<Recorded> {
  try {
    return JSON.parse(text) as Partial<Recorded>
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

/** Makes settings hold. Idempotent: a value that is already as wanted is neither written nor recorded. */
export const applySysctls = async ({ file, netns }: Place, wanted: Record<string, string>): Promise<void> => {
  const changes = await recorded(file)
  const writes: [string, string][] = []
  for (const [name, set] of Object.entries(wanted)) {
    const was = await readSysctl(name, netns)
    if (was === set) continue
    changes[name] = { was, set }
    writes.push([name, set])
    for (const [along, to] of await changedAlong(name, set, netns)) {
      const before = await find(along, netns)
      // Also what is so already: going back changes it along too.
      if (before !== undefined) changes[along] ??= { was: before, set: to }
    }
  }
  if (writes.length === 0) return
  // Recorded first: a crash in between restores a value that was never changed, which is harmless.
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(`${file}.new`, JSON.stringify({ boot: await bootId(), changes } satisfies Recorded), { mode: 0o600 })
  await rename(`${file}.new`, file)
  for (const [name, value] of writes) await writeSysctl(name, value, netns)
}

/** What somebody else has changed since stays as they want it. */
export const restoreSysctls = async ({ file, netns }: Place): Promise<void> => {
  const back: [string, string][] = []
  for (const [name, { was, set }] of Object.entries(await recorded(file))) {
    const now = await find(name, netns)
    // Also what is not ours to give back is written: one that is written before may change it along.
    if (now !== undefined) back.push([name, now === set ? was : now])
  }
  for (const [name, value] of back) if ((await find(name, netns)) !== value) await put(name, value, netns)
  await rm(file, { force: true })
}

/** Undefined: its link is gone. */
const find = async (name: string, netns: string | undefined): Promise<string | undefined> => {
  try {
    return await readSysctl(name, netns)
  } catch (error) {
    if (isSysError(error, 'ENOENT')) return undefined
    throw error
  }
}

/** A link may go at any moment, and its settings with it. */
const put = async (name: string, value: string, netns: string | undefined): Promise<void> => {
  try {
    await writeSysctl(name, value, netns)
  } catch (error) {
    if (!isSysError(error, 'ENOENT')) throw error
  }
}

/** Turning forwarding on or off does it on every link (inet_forward_change, addrconf_fixup_forwarding). */
const changedAlong = async (name: string, value: string, netns: string | undefined): Promise<[string, string][]> => {
  const family = { 'net.ipv4.ip_forward': 'ipv4', 'net.ipv6.conf.all.forwarding': 'ipv6' }[name]
  if (family === undefined) return []
  await using rt = await openRtnetlink({ netns })
  const links = ['default', ...(await rt.links()).map((link) => link.name)]
  const forwarding = links.map((link): [string, string] => [`net/${family}/conf/${link}/forwarding`, value])
  return family === 'ipv4' ? [...forwarding, ['net/ipv4/conf/all/accept_redirects', value === '0' ? '1' : '0']] : forwarding
}
