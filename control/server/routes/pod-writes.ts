// Pod subresources that write: binding (the scheduler's word) and eviction.

import { type Clock, timestamp } from '#api/clock.ts'
import { StatusError } from '#api/errors.ts'
import { isObject } from '#api/schema/decode.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import type { Core } from '../objects/core.ts'
import { conflict } from '../objects/resource.ts'
import { type Creators, success } from './creators.ts'
import { evictionCreators } from './eviction.ts'

export const podCreators = ({ core, clock }: { core: Core; clock: Clock }): Creators => ({
  async 'pods/binding'(target, body, options) {
    const to = isObject(body.target) ? body.target : {}
    const meta = isObject(body.metadata) ? body.metadata : {}
    const node = to.name
    if (typeof node !== 'string' || node === '') throw new StatusError('BadRequest', 'a binding must name a target node')
    if (to.kind !== undefined && to.kind !== '' && to.kind !== 'Node') {
      throw new StatusError('BadRequest', `a pod is bound to a Node, not to a ${JSON.stringify(to.kind)}`)
    }
    await core.update(target, { ...options, subresource: 'binding' }, (current) => {
      const pod = current as Pod
      if (meta.uid && meta.uid !== pod.metadata.uid) {
        throw conflict(
          target.resource,
          target.name,
          `Precondition failed: UID in precondition: ${JSON.stringify(meta.uid)}, UID in object meta: ${pod.metadata.uid}`,
        )
      }
      if (pod.metadata.deletionTimestamp)
        throw conflict(target.resource, target.name, `pod ${target.name} is being deleted, cannot be assigned to a host`)
      if (pod.spec.nodeName)
        throw conflict(target.resource, target.name, `pod ${target.name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`)
      pod.spec.nodeName = node
      const scheduled = { type: 'PodScheduled' as const, status: 'True' as const, lastTransitionTime: timestamp(clock.now()) }
      const others = (pod.status.conditions ?? []).filter((c) => c.type !== 'PodScheduled')
      pod.status = { ...pod.status, conditions: [...others, scheduled] }
      return pod
    })
    return success
  },

  ...evictionCreators({ core, clock }),
})
