// A port of the host has one owner for each address and protocol.

import { HostPorts } from '../cluster/host-ports.ts'
import type { Plugin } from '../framework/plugin.ts'

const refusal = { reasons: ["node(s) didn't have free ports for the requested pod ports"] }

export const nodePorts = (): Plugin => ({
  name: 'NodePorts',
  hints: {
    'node/add': ({ ports }, { node }) => ports.every((port) => node.ports.isFree(port)),
    'pod/delete'({ ports }, { pod }) {
      const freed = new HostPorts()
      for (const port of pod.ports) freed.add(port, 1)
      return ports.some((port) => !freed.isFree(port))
    },
  },
  preFilter: ({ ports }) =>
    ports.length ? { filter: (node) => (ports.every((port) => node.ports.isFree(port)) ? undefined : refusal) } : undefined,
})
