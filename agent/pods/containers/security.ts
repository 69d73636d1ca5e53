// Who a container runs as and what it may do: its own security context over its pod's over its image's.

import { join, normalize } from 'node:path'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import type { ImageConfig } from '../../images/images.ts'
import type { ContainerSpec } from '../../runtime/runtime.ts'
import { appArmorOf, type Isolation } from '../sandbox/isolation.ts'
import { ConfigError } from './config-error.ts'

type Security = Pick<
  ContainerSpec,
  'user' | 'groups' | 'privileged' | 'readOnlyRoot' | 'noNewPrivileges' | 'capabilities' | 'seccomp' | 'apparmor'
>

/** Throws ConfigError where the pod asks for what it cannot be held to, or be given. */
export function securityOf(
  pod: Pod,
  container: Container,
  { image, isolation }: { image: Pick<ImageConfig, 'user'>; isolation: Isolation },
): Security {
  const ofPod = pod.spec.securityContext ?? {}
  const own = container.securityContext ?? {}
  const uid = own.runAsUser ?? ofPod.runAsUser
  const gid = own.runAsGroup ?? ofPod.runAsGroup
  const [imageUser = '', imageGroup = ''] = image.user.split(':')

  if (own.runAsNonRoot ?? ofPod.runAsNonRoot) refuseRoot(uid, imageUser)
  // Without a user namespace, /proc would let the container's root set the node's own parameters.
  if (own.procMount === 'Unmasked') throw new ConfigError('procMount Unmasked needs a user namespace, which this node does not give')
  const privileged = own.privileged ?? false
  const apparmor = privileged ? undefined : appArmorNameOf(pod, container)
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
    ...(!privileged && seccompOf(pod, container, isolation)),
    ...(apparmor && { apparmor }),
  }
}

/** A privileged container has no filter; nor has it in other runtimes. */
function seccompOf(pod: Pod, container: Container, { seccompDefault, seccompDir }: Isolation): Pick<Security, 'seccomp'> {
  const profile = container.securityContext?.seccompProfile ?? pod.spec.securityContext?.seccompProfile
  const type = profile?.type ?? (seccompDefault ? 'RuntimeDefault' : 'Unconfined')
  switch (type) {
    case 'Unconfined':
      return {}
    case 'RuntimeDefault':
      return { seccomp: { type } }
    case 'Localhost': {
      const name = profile?.localhostProfile ?? ''
      const path = join(seccompDir, name)
      // The server refuses others, and the agent does not rely on it.
      if (name.startsWith('/') || !path.startsWith(`${normalize(seccompDir)}/`)) {
        throw new ConfigError(`localhostProfile ${JSON.stringify(name)} must be a path below the node's folder of seccomp profiles`)
      }
      return { seccomp: { type, path } }
    }
    default:
      throw new ConfigError(`unknown seccomp profile type ${JSON.stringify(type)}`)
  }
}

/** What a node's administrator calls the profile for containers that ask for the runtime's own. */
const DEFAULT_APPARMOR = 'coracle-default'

function appArmorNameOf(pod: Pod, container: Container): string | undefined {
  const profile = appArmorOf(pod, container)
  if (profile?.type === 'RuntimeDefault') return DEFAULT_APPARMOR
  return profile?.type === 'Localhost' ? profile.localhostProfile : undefined
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
