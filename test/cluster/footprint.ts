// What a machine shows of one cluster: compared before `up` and after `down`, the difference must be empty.
// Others use the machine meanwhile, so only what is this cluster's counts: by its name, by its folder, by the
// cgroup or the network that it is in. A node in the machine's own network names its links and rules as every
// agent does; there they are this cluster's, since no second agent can be in the same network.

import { existsSync } from 'node:fs'
import { readdir, readFile, readlink } from 'node:fs/promises'
import { isOwnLink, routeProtocol } from '#agent/network/names.ts'
import { nameOf } from './plan.ts'
import { attempt } from './shell.ts'

export type Footprint = Record<
  'folders' | 'processes' | 'loops' | 'namespaces' | 'links' | 'addresses' | 'routes' | 'rules' | 'mounts' | 'cgroups' | 'sysctls',
  string[]
>

/** `alone`: it has one node, which is in the machine's own network. */
type Whose = { dir: string; alone: boolean }
type Ours = Whose & { name: string }

const lines = async (program: string, ...args: string[]) =>
  (await attempt(program, args)).stdout
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean)
    .sort()

export async function footprint(whose: Whose): Promise<Footprint> {
  const ours: Ours = { ...whose, name: nameOf(whose.dir) }
  const isLink = (name = '') => name.startsWith(`${ours.name}-`) || (ours.alone && isOwnLink(name))
  const linkOf = (line: string) => /^\d+: ([^\s:@]+)/.exec(line)?.[1]
  const deviceOf = (line: string) => / dev (\S+)/.exec(line)?.[1]
  const routes = [...(await lines('ip', '-d', 'route')), ...(await lines('ip', '-6', '-d', 'route'))]
  return {
    folders: [ours.dir].filter((dir) => existsSync(dir)),
    processes: await processes(ours),
    loops: (await lines('losetup', '--list', '--noheadings', '--output=BACK-FILE')).filter((line) => line.includes(ours.dir)),
    namespaces: (await lines('ip', 'netns', 'list')).filter((line) => line.startsWith(`${ours.name}-`)),
    links: (await lines('ip', '-o', 'link'))
      .filter((line) => isLink(linkOf(line)))
      .map((line) => line.replace(/^\d+: /, '').replace(/ (mtu|state|qlen) .*/, '')),
    // Without its scope and state: a new one is tentative for a second.
    addresses: (await lines('ip', '-o', 'address'))
      .filter((line) => isLink(/^\d+: (\S+)/.exec(line)?.[1]))
      .map((line) => line.replace(/^\d+: /, '').replace(/ scope .*/, '')),
    routes: routes
      .filter((line) => isLink(deviceOf(line)) || (ours.alone && line.includes(` proto ${routeProtocol} `)))
      .map((line) => line.replace(/ expires \S+/, '')),
    rules: ours.alone ? await rules() : [],
    mounts: mounts(ours, await readFile('/proc/self/mountinfo', 'utf8')),
    cgroups: await cgroups(ours),
    sysctls: ours.alone ? await sysctls() : [],
  }
}

/** Those that name the folder, were started from it, or are in the cluster's cgroup or in one of its networks. */
async function processes({ dir, name }: Ours): Promise<string[]> {
  const networks = await Promise.all(
    (await readdir('/run/netns').catch(() => []))
      .filter((netns) => netns.startsWith(`${name}-`))
      .map(async (netns) => (await attempt('stat', ['-L', '-c', 'net:[%i]', `/run/netns/${netns}`])).stdout.trim()),
  )
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) continue
    const text = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
    const link = (file: string) => readlink(`/proc/${pid}/${file}`).catch(() => '')
    const command = (await text('cmdline')).replaceAll('\0', ' ').trim()
    const inGroup = (await text('cgroup')).split('\n').some((line) => line.split(':')[2]?.split('/').includes(name))
    const inFolder = [command, await link('cwd'), await link('exe')].some((path) => path.includes(dir))
    if (inGroup || inFolder || networks.includes(await link('ns/net'))) found.push(command || `process ${pid}`)
  }
  return found.sort()
}

/** Mount points, by where they are and by what they show: overlays name their layers' folders. */
export const mounts = ({ dir, name }: Pick<Ours, 'dir' | 'name'>, mountinfo: string): string[] =>
  mountinfo
    .split('\n')
    .filter((line) => line.includes(dir) || line.split(' ')[4]?.startsWith(`/run/netns/${name}-`))
    .map((line) => line.split(' ')[4] ?? '')
    .sort()

/** In every hierarchy: v2 at the root, v1 and hybrid in folders below it. */
async function cgroups({ name }: Ours): Promise<string[]> {
  const root = '/sys/fs/cgroup'
  const hierarchies = (await readdir(root, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${root}/${entry.name}`)
  const own = [root, ...hierarchies].map((hierarchy) => `${hierarchy}/${name}`).filter((path) => existsSync(path))
  return (await Promise.all(own.map((path) => lines('find', path, '-type', 'd')))).flat().sort()
}

/** Our tables whole, and our lines in those of others. */
async function rules(): Promise<string[]> {
  const text = (await attempt('nft', ['list', 'ruleset'])).stdout.replaceAll(/packets \d+ bytes \d+/g, '')
  return text.split(/^(?=table )/m).flatMap((table) => {
    const all = table
      .split('\n')
      .map((line) => line.trimEnd())
      .filter(Boolean)
    return /^table \S+ coracle/.test(table) ? all : all.filter((line) => /coracle/i.test(line)).map((line) => `${all[0]} ${line.trim()}`)
  })
}

/** What agents set on the machine (agent/network/forwarding.ts) and the kernel changes along with it. */
async function sysctls(): Promise<string[]> {
  const all = await lines('grep', '-rE', '.', '/proc/sys/net/ipv4/ip_forward', '/proc/sys/net/ipv4/conf', '/proc/sys/net/ipv6/conf')
  return all.filter((line) => /ip_forward:|\/all\/send_redirects:|\/(forwarding|accept_ra|accept_redirects):/.test(line))
}

/** Lines like `links: + coracle0 …`, empty where both are the same. A setting that came or went did so with its link. */
export function difference(before: Footprint, after: Footprint): string[] {
  const settings = ({ sysctls }: Footprint) => new Set(sysctls.map((line) => line.split(':')[0]))
  const [had, has] = [settings(before), settings(after)]
  const inBoth = (part: keyof Footprint, line: string) => {
    const [setting = ''] = line.split(':')
    return part !== 'sysctls' || (had.has(setting) && has.has(setting))
  }
  return (Object.keys(before) as (keyof Footprint)[]).flatMap((part) => {
    const [was, is] = [new Set(before[part]), new Set(after[part])]
    return [
      ...after[part].filter((line) => !was.has(line) && inBoth(part, line)).map((line) => `${part}: + ${line}`),
      ...before[part].filter((line) => !is.has(line) && inBoth(part, line)).map((line) => `${part}: - ${line}`),
    ]
  })
}
