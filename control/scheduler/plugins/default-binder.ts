// Tells the server where a pod goes.

import type { Client } from '#api/client/client.ts'
import { Pod } from '#api/kinds/index.ts'
import type { Plugin } from '../framework/plugin.ts'

export const defaultBinder = ({ client }: { client: Client }): Plugin => ({
  name: 'DefaultBinder',
  async bind({ pod }, nodeName, signal) {
    const { name, namespace, uid } = pod.metadata
    const ref = { name, ...(namespace && { namespace }) }
    const target = { apiVersion: 'v1', kind: 'Node', name: nodeName }
    await client.create(Pod, { metadata: { ...ref, uid }, target }, { subresource: 'binding', signal })
    return true
  },
})
