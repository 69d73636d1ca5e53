// What a machine shows of a cluster: compared before `up` and after `down`, the difference must be empty.

import { readdir, readFile, readlink } from 'node:fs/promises'
import { attempt } from './shell.ts'

export type Footprint = Record<
  'processes' | 'namespaces' | 'links' | 'addresses' | 'routes' | 'policies' | 'rules' | 'mounts' | 'cgroups' | 'sysctls',
  string[]
>

const lines = async (program: string, ...args: string[]) =>
  (await attempt(program, args)).stdout
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean)
    .sort()

export async function footprint(): Promise<Footprint> {
  const links = await lines('ip', '-o', 'link')
  return {
    processes: await processes(),
    namespaces: await lines('ip', 'netns', 'list'),
    links: links.map((line) => line.replace(/^\d+: /, '').replace(/ (mtu|state|qlen) .*/, '')),
    // Without its scope and state: a new one is tentative for a second.
    addresses: (await lines('ip', '-o', 'address')).map((line) => line.replace(/^\d+: /, '').replace(/ scope .*/, '')),
    routes: [...(await lines('ip', 'route')), ...(await lines('ip', '-6', 'route'))].map((line) => line.replace(/ expires \S+/, '')),
    policies: [...(await lines('ip', 'rule')), ...(await lines('ip', '-6', 'rule'))],
    rules: (await lines('nft', 'list', 'ruleset')).map((line) => line.replace(/packets \d+ bytes \d+/, '')),
    mounts: (await readFile('/proc/self/mountinfo', 'utf8'))
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter(Boolean)
      .sort(),
    cgroups: await cgroups('/sys/fs/cgroup', 3),
    sysctls: await sysctls(),
  }
}

/** Programs by name that are ours or that we start; others come and go on a machine. */
async function processes(): Promise<string[]> {
  const ours = /\/(cli\/main\.ts|conmon|runc|crun)\b|coracle (server|agent)/
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
    const namespaced = (await readlink(`/proc/${pid}/ns/pid`).catch(() => '')) !== (await readlink('/proc/self/ns/pid'))
    if (ours.test(command) || (namespaced && command)) found.push(command.trim())
  }
  return found.sort()
}

async function cgroups(dir: string, depth: number): Promise<string[]> {
  if (depth === 0) return []
  const folders = (await readdir(dir, { withFileTypes: true }).catch(() => []))
    .filter((e) => e.isDirectory())
    .map((e) => `${dir}/${e.name}`)
  return [...folders, ...(await Promise.all(folders.map((f) => cgroups(f, depth - 1)))).flat()].sort()
}

/** Every setting of the network that does not change by itself. */
async function sysctls(): Promise<string[]> {
  const all = await lines('grep', '-r', '.', '/proc/sys/net')
  return all.filter((line) => !/nf_conntrack_(count|buckets)|hash_seed|fastopen_key|\/(neigh|conf)\/coracle/.test(line))
}

/** Lines like `links: + coracle0 …`, empty where both are the same. */
export function difference(before: Footprint, after: Footprint): string[] {
  return (Object.keys(before) as (keyof Footprint)[]).flatMap((part) => {
    const [was, is] = [new Set(before[part]), new Set(after[part])]
    return [
      ...after[part].filter((line) => !was.has(line)).map((line) => `${part}: + ${line}`),
      ...before[part].filter((line) => !is.has(line)).map((line) => `${part}: - ${line}`),
    ]
  })
}
