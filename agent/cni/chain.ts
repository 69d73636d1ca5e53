// All plugins of a network for one pod (spec, section 3): attached in order, each with the result of the
// one before; detached in reverse.

import type { Capabilities } from './capabilities.ts'
import { type NetworkConfig, type PluginConfig, since } from './config.ts'
import { type Command, PluginError, runPlugin } from './plugin.ts'
import { isResult, type Result } from './result.ts'

/** Who is attached, and how. Kept with the result, so that the same can be taken back whatever was configured since. */
export type Attachment = {
  readonly containerID: string
  /** Path of the pod's network namespace. */
  readonly netns: string
  readonly ifname: string
  /** CNI_ARGS */
  readonly args: Readonly<Record<string, string>>
  readonly capabilities: Capabilities
  readonly binDirs: readonly string[]
  readonly version: string
  readonly network: NetworkConfig
}

/** Plugins may wait for a lease or a lock. */
const deadlineMs = 120_000
/** An answer to VERSION, STATUS needs nothing of the network. */
const quickMs = 10_000

type Options = { signal?: AbortSignal }

/** Throws with nothing undone: detach after. */
export async function attach(attachment: Attachment, options: Options = {}): Promise<Result> {
  let result: Result | undefined
  for (const plugin of attachment.network.plugins) {
    const answer = await run('ADD', attachment, plugin, result, options)
    if (!isResult(answer))
      throw new PluginError(`plugin type="${plugin.type}" name="${attachment.network.name}" failed (add): the answer is no result`)
    result = answer
  }
  return result as Result
}

/** Every plugin is asked, though one failed; idempotent as far as they are. `result` is what attach returned, if it did. */
export async function detach(attachment: Attachment, result: Result | undefined, options: Options = {}): Promise<void> {
  const failures: unknown[] = []
  for (const plugin of attachment.network.plugins.toReversed()) {
    const previous = since(attachment.version, '0.4.0') ? result : undefined
    await run('DEL', attachment, plugin, previous, options).catch((error: unknown) => failures.push(error))
  }
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('; '))
}

/** Throws what a plugin found missing. */
export async function check(attachment: Attachment, result: Result, options: Options = {}): Promise<void> {
  const { network, version } = attachment
  if (network.disableCheck || !since(version, '0.4.0')) return
  for (const plugin of network.plugins) await run('CHECK', attachment, plugin, result, options)
}

type Host = Pick<Attachment, 'network' | 'version' | 'binDirs'>

/** Whether the plugins can attach pods at all, where they can say so. */
export async function status(host: Host, options: Options = {}): Promise<void> {
  if (!since(host.version, '1.1.0')) return
  for (const plugin of host.network.plugins) await runOnHost('STATUS', host, plugin, {}, options)
}

/** Lets plugins forget what belongs to none of these attachments. */
export async function collectGarbage(
  host: Host,
  valid: readonly Pick<Attachment, 'containerID' | 'ifname'>[],
  options: Options = {},
): Promise<void> {
  if (host.network.disableGC || !since(host.version, '1.1.0')) return
  const attachments = valid.map(({ containerID, ifname }) => ({ containerID, ifname }))
  for (const plugin of host.network.plugins) await runOnHost('GC', host, plugin, { 'cni.dev/valid-attachments': attachments }, options)
}

/** The highest version that the configuration and all of its plugins have. */
export async function negotiate({ network, binDirs }: Pick<Attachment, 'network' | 'binDirs'>, options: Options = {}): Promise<string> {
  const offered = await Promise.all(
    network.plugins.map(async ({ type }) => {
      const config = { cniVersion: network.versions[0] }
      const answer = await runPlugin({ command: 'VERSION', binDirs, type, env: {}, config, deadlineMs: quickMs, ...options }).catch(
        named('VERSION', type, network.name),
      )
      const { supportedVersions } = (answer ?? {}) as Record<string, unknown>
      // Before 0.2.0 nobody was asked.
      return { type, supported: Array.isArray(supportedVersions) ? supportedVersions.map(String) : ['0.1.0'] }
    }),
  )
  const common = network.versions.find((version) => offered.every(({ supported }) => supported.includes(version)))
  if (common !== undefined) return common
  const [first] = offered.filter(({ supported }) => !network.versions.some((version) => supported.includes(version)))
  const { type, supported } = first ?? offered[0]!
  throw new PluginError(
    `plugin type="${type}" name="${network.name}": incompatible CNI versions; config is "${network.versions.join('", "')}", plugin supports ["${supported.join('" "')}"]`,
  )
}

function run(
  command: Command,
  attachment: Attachment,
  plugin: PluginConfig,
  prevResult: Result | undefined,
  options: Options,
): Promise<unknown> {
  const { containerID, netns, ifname, args, capabilities, binDirs, network, version } = attachment
  const env = {
    CNI_CONTAINERID: containerID,
    CNI_NETNS: netns,
    CNI_IFNAME: ifname,
    CNI_ARGS: Object.entries(args)
      .map(([key, value]) => `${key}=${value}`)
      .join(';'),
  }
  const able = Object.entries(capabilities).filter(([name]) => plugin.capabilities?.[name])
  const config = {
    ...configOf(plugin, network.name, version),
    ...(able.length > 0 && { runtimeConfig: Object.fromEntries(able) }),
    ...(prevResult && { prevResult }),
  }
  return runPlugin({ command, binDirs, type: plugin.type, env, config, deadlineMs, ...options }).catch(
    named(command, plugin.type, network.name),
  )
}

const runOnHost = (
  command: Command,
  { network, version, binDirs }: Host,
  plugin: PluginConfig,
  more: object,
  options: Options,
): Promise<unknown> => {
  const config = { ...configOf(plugin, network.name, version), ...more }
  return runPlugin({ command, binDirs, type: plugin.type, env: {}, config, deadlineMs: quickMs, ...options }).catch(
    named(command, plugin.type, network.name),
  )
}

/** `capabilities` is for us. */
const configOf = (plugin: PluginConfig, name: string, cniVersion: string): Record<string, unknown> => {
  const config: Record<string, unknown> = { ...plugin, name, cniVersion }
  delete config['capabilities']
  return config
}

const words: Partial<Record<Command, string>> = {
  ADD: 'add',
  DEL: 'delete',
  CHECK: 'check',
  GC: 'gc',
  STATUS: 'status',
  VERSION: 'version',
}

/** As libcni words it, which people search for. */
const named =
  (command: Command, type: string, network: string) =>
  (error: unknown): never => {
    const { message, code } = error as PluginError
    throw new PluginError(`plugin type="${type}" name="${network}" failed (${words[command]}): ${message}`, code)
  }
