// Network configurations as CNI has them (spec 1.1, section 1): files in a folder, of which the first
// that is sound counts, in the order of their names. Other programs put them there and change them.

import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Log } from '#api/log.ts'
import { codeOf, Malformed } from '../images/malformed.ts'

/** A plugin's part of the configuration: `type` is its program, the rest it understands itself. */
export type PluginConfig = { readonly type: string; readonly capabilities?: Record<string, boolean>; readonly [field: string]: unknown }

export type NetworkConfig = {
  readonly name: string
  /** What the configuration may be run as, the highest first. */
  readonly versions: readonly string[]
  readonly plugins: readonly PluginConfig[]
  readonly disableCheck: boolean
  readonly disableGC: boolean
}

/** What we speak: results look the same in all of these. */
export const versions = ['1.1.0', '1.0.0', '0.4.0', '0.3.1', '0.3.0'] as const

/** Whether version `a` is `b` or later. */
export const since = (a: string, b: string): boolean => a.localeCompare(b, 'en', { numeric: true }) >= 0

/** The first sound configuration of a folder. Throws, in the words that Kubernetes' users know, where there is none. */
export async function loadNetwork(dir: string, log: Log): Promise<NetworkConfig> {
  const names = (await readdir(dir).catch((error: unknown) => missing(error, dir)))
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .toSorted()
  for (const name of names) {
    const file = join(dir, name)
    try {
      const network = parseNetwork(JSON.parse(await readFile(file, 'utf8')), file.endsWith('.conflist'))
      const more = network.inlinedOnly ? [] : await pluginFiles(join(dir, network.name))
      const plugins = [...network.plugins, ...more]
      if (plugins.length === 0) throw new Malformed('plugins must not be empty')
      const { versions, disableCheck, disableGC } = network
      return { name: network.name, versions, plugins, disableCheck, disableGC }
    } catch (error) {
      log.warn({ file, err: error }, `network configuration ${basename(file)} cannot be used`)
    }
  }
  throw new Error(`cni plugin not initialized: no valid network config found in ${dir}`)
}

const missing = (error: unknown, dir: string): never => {
  if (codeOf(error) !== 'ENOENT') throw error
  throw new Error(`cni plugin not initialized: no network config found in ${dir}`)
}

/** Plugins that other files add to a network, in a folder of its name (spec 1.1). */
async function pluginFiles(dir: string): Promise<PluginConfig[]> {
  const names = await readdir(dir).catch(() => [])
  const plugins: PluginConfig[] = []
  for (const name of names.filter((name) => name.endsWith('.conf')).toSorted())
    plugins.push(parsePlugin(JSON.parse(await readFile(join(dir, name), 'utf8')), name))
  return plugins
}

/** A list of plugins, or a single one, which is a list of one. Throws Malformed. */
export function parseNetwork(value: unknown, isList: boolean): NetworkConfig & { inlinedOnly: boolean } {
  const config = fields(value, 'the configuration')
  const { name, cniVersion, cniVersions, plugins } = config
  if (typeof name !== 'string' || !/^[a-zA-Z\d][\w.-]*$/.test(name))
    throw new Malformed(`name must be letters, digits, "_", "." and "-", not ${JSON.stringify(name)}`)
  const inlinedOnly = config.loadOnlyInlinedPlugins === true || !isList
  const list = isList ? (plugins ?? []) : [config]
  if (!Array.isArray(list)) throw new Malformed('plugins must be a list')
  return {
    name,
    versions: spoken([cniVersion, ...(Array.isArray(cniVersions) ? cniVersions : [])]),
    plugins: list.map((plugin, i) => parsePlugin(plugin, isList ? `plugins[${i}]` : 'the configuration')),
    disableCheck: isTrue(config.disableCheck),
    disableGC: isTrue(config.disableGC),
    inlinedOnly,
  }
}

const spoken = (asked: readonly unknown[]): string[] => {
  const found = versions.filter((version) => asked.includes(version))
  if (found.length > 0) return found
  throw new Malformed(`cniVersion must be one of ${versions.join(', ')}, not ${asked.filter(Boolean).map(String).join(', ') || 'absent'}`)
}

const parsePlugin = (value: unknown, at: string): PluginConfig => {
  const plugin = fields(value, at)
  const { type, capabilities } = plugin
  // A program's name, never a path: it is looked for in the plugin folders alone.
  if (typeof type !== 'string' || !/^[\w.-]+$/.test(type) || /^\.\.?$/.test(type))
    throw new Malformed(`${at}.type must name a plugin, not ${JSON.stringify(type)}`)
  if (capabilities !== undefined) fields(capabilities, `${at}.capabilities`)
  return plugin as PluginConfig
}

const fields = (value: unknown, at: string): Record<string, unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Malformed(`${at} must be an object`)
  return value as Record<string, unknown>
}

/** libcni takes the text, too. */
const isTrue = (value: unknown): boolean => value === true || value === 'true'
