// Who a container runs as and what it may do: its own security context over its pod's over its image's.

import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import type { ImageConfig } from '../images/images.ts'
import type { ContainerSpec } from '../runtime/runtime.ts'
import { ConfigError } from './config-error.ts'

type Security = Pick<ContainerSpec, 'user' | 'groups' | 'privileged' | 'readOnlyRoot' | 'noNewPrivileges' | 'capabilities'>

/** Throws ConfigError where the pod forbids root and cannot be held to it. */
export function securityOf(pod: Pod, container: Container, image: Pick<ImageConfig, 'user'>): Security {
  const ofPod = pod.spec.securityContext ?? {}
  const own = container.securityContext ?? {}
  const uid = own.runAsUser ?? ofPod.runAsUser
  const gid = own.runAsGroup ?? ofPod.runAsGroup
  const [imageUser = '', imageGroup = ''] = image.user.split(':')

  if (own.runAsNonRoot ?? ofPod.runAsNonRoot) refuseRoot(uid, imageUser)
  const privileged = own.privileged ?? false
  const user = uid === undefined ? imageUser || '0' : String(uid)
  const group = gid === undefined ? (uid === undefined ? imageGroup : '') : String(gid)
  const groups = [...new Set([...(ofPod.supplementalGroups ?? []), ...(ofPod.fsGroup === undefined ? [] : [ofPod.fsGroup])])]
  return {
    ...(numeric.test(user) && numeric.test(group)
      ? { user: { uid: Number(user), gid: Number(group), groups } }
      : { user: group ? `${user}:${group}` : user, groups }),
    privileged,
    readOnlyRoot: own.readOnlyRootFilesystem ?? false,
    noNewPrivileges: own.allowPrivilegeEscalation === false && !privileged,
    capabilities: { add: own.capabilities?.add ?? [], drop: own.capabilities?.drop ?? [] },
  }
}

const numeric = /^\d+$/

function refuseRoot(uid: number | undefined, imageUser: string): void {
  if (uid === 0) throw new ConfigError("container's runAsUser breaks non-root policy")
  if (uid !== undefined) return
  if (imageUser === '' || imageUser === '0') throw new ConfigError('container has runAsNonRoot and image will run as root')
  if (!numeric.test(imageUser)) {
    throw new ConfigError(`container has runAsNonRoot and image has non-numeric user (${imageUser}), cannot verify user is non-root`)
  }
}
