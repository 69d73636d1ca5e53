// Plugins by extension point.

import type { Plugin } from './plugin.ts'
import type { PluginSet } from './profile.ts'

/** What a plugin can be enabled for by itself; `filter` and `score` with what prepares them. */
export const points = [
  'preEnqueue',
  'queueSort',
  'filter',
  'postFilter',
  'score',
  'reserve',
  'permit',
  'preBind',
  'bind',
  'postBind',
] as const
export type Point = (typeof points)[number]

const methods: Record<Point, keyof Plugin> = {
  preEnqueue: 'preEnqueue',
  queueSort: 'before',
  filter: 'preFilter',
  postFilter: 'postFilter',
  score: 'preScore',
  reserve: 'reserve',
  permit: 'permit',
  preBind: 'preBind',
  bind: 'bind',
  postBind: 'postBind',
}

export const pointsOf = (plugin: Plugin): Point[] => points.filter((point) => plugin[methods[point]] !== undefined)

export type Enabled = { plugin: Plugin; weight: number }

/** In the order given. Throws where nothing sorts or binds. */
export function assemble(enabled: (point: Point) => readonly Enabled[]): PluginSet {
  const at = (point: Point) => enabled(point).map(({ plugin }) => plugin)
  const sorting = at('queueSort').find((plugin): plugin is Plugin & Required<Pick<Plugin, 'before'>> => plugin.before !== undefined)
  if (!sorting) throw new Error('no queue sort plugin is enabled')
  const binds = at('bind')
  if (binds.length === 0) throw new Error('at least one bind plugin is needed')
  return {
    queueSort: sorting,
    preEnqueue: at('preEnqueue'),
    filters: at('filter'),
    postFilters: at('postFilter'),
    scores: enabled('score').filter(({ weight }) => weight > 0),
    reserves: at('reserve'),
    permits: at('permit'),
    preBinds: at('preBind'),
    binds,
    postBinds: at('postBind'),
  }
}
