// The more important of two pods is tried first.

import type { Plugin } from '../framework/plugin.ts'

export const prioritySort = (): Plugin & Required<Pick<Plugin, 'before'>> => ({
  name: 'PrioritySort',
  before: (a, b) => a.priority > b.priority,
})
