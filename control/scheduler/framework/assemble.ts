// Plugins by extension point.

import type { Plugin } from './plugin.ts'
import type { PluginSet } from './profile.ts'

export type Enabled = { plugin: Plugin; weight: number }

/** In the order given. Throws where nothing sorts or binds. */
export function assemble(enabled: readonly Enabled[]): PluginSet {
  const plugins = enabled.map(({ plugin }) => plugin)
  const having = (point: keyof Plugin) => plugins.filter((plugin) => plugin[point] !== undefined)
  const sorting = plugins.find((plugin): plugin is Plugin & Required<Pick<Plugin, 'before'>> => plugin.before !== undefined)
  if (!sorting) throw new Error('no queue sort plugin is enabled')
  const binds = having('bind')
  if (binds.length === 0) throw new Error('at least one bind plugin is needed')
  return {
    queueSort: sorting,
    preEnqueue: having('preEnqueue'),
    filters: having('preFilter'),
    postFilters: having('postFilter'),
    scores: enabled.filter(({ plugin, weight }) => plugin.preScore && weight > 0),
    reserves: having('reserve'),
    permits: having('permit'),
    preBinds: having('preBind'),
    binds,
    postBinds: having('postBind'),
  }
}
