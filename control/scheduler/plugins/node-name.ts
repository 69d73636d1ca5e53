// A pod that names its node goes there or nowhere.

import type { Plugin } from '../framework/plugin.ts'

const refusal = { reasons: ["node(s) didn't match the requested node name"], unresolvable: true }

export const nodeName = (): Plugin => ({
  name: 'NodeName',
  hints: { 'node/add': ({ pod }, { node }) => pod.spec.nodeName === node.name },
  preFilter({ pod }) {
    const wanted = pod.spec.nodeName
    return wanted ? { filter: ({ name }) => (name === wanted ? undefined : refusal) } : undefined
  },
})
