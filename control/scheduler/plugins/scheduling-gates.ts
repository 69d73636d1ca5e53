// A pod with scheduling gates is not tried until the last of them has been taken away.

import type { Plugin } from '../framework/plugin.ts'

export const schedulingGates = (): Plugin => ({
  name: 'SchedulingGates',
  preEnqueue({ pod }) {
    const gates = pod.spec.schedulingGates ?? []
    return gates.length ? `waiting for scheduling gates: [${gates.map(({ name }) => name).join(' ')}]` : undefined
  },
})
