// The image of a container about to start: found or fetched as its pull policy says, with the events
// that tell so. One that is always to be fetched is the one that the container ran with before where nobody can be
// asked: a node without its link goes on with what it has.

import type { Clock } from '#api/clock.ts'
import { isStatus } from '#api/errors.ts'
import { Secret } from '#api/kinds/index.ts'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import { type Image, ImageError, type Images } from '../../images/images.ts'
import type { Objects } from '../../volumes/objects.ts'
import { credentialsFor } from './credentials.ts'
import type { ContainerRun } from './record.ts'

export type ImageDeps = {
  images: Pick<Images, 'find' | 'pull'>
  objects: Objects
  clock: Clock
  event: (type: 'Normal' | 'Warning', reason: string, message: string) => void
  /** The container's process before this one, if it has run. */
  before?: Pick<ContainerRun, 'image' | 'imageKey'>
  signal: AbortSignal
}

/** Throws ImageError. */
export async function imageFor(pod: Pod, container: Container, deps: ImageDeps): Promise<Image> {
  const { images, objects, clock, event, before, signal } = deps
  const reference = container.image ?? ''
  const policy = container.imagePullPolicy ?? defaultPolicy(reference)
  if (policy !== 'Always') {
    const found = await images.find(reference)
    if (found) {
      event('Normal', 'Pulled', `Container image "${reference}" already present on machine`)
      return found
    }
    if (policy === 'Never') {
      const message = `Container image "${reference}" is not present with pull policy of Never`
      event('Warning', 'ErrImageNeverPull', message)
      throw new ImageError('ErrImageNeverPull', message)
    }
  }
  event('Normal', 'Pulling', `Pulling image "${reference}"`)
  const began = clock.monotonic()
  try {
    const secrets = await Promise.all(
      (pod.spec.imagePullSecrets ?? []).map(({ name = '' }) => objects.find(Secret, { namespace: pod.metadata.namespace!, name }, signal)),
    )
    const credentials = credentialsFor(
      reference,
      secrets.filter((secret): secret is Secret => secret !== undefined),
    )
    const image = await images.pull(reference, { credentials, signal })
    const took = `${((clock.monotonic() - began) / 1000).toFixed(3)}s`
    event(
      'Normal',
      'Pulled',
      `Successfully pulled image "${reference}" in ${took} (${took} including waiting). Image size: ${image.size} bytes.`,
    )
    return image
  } catch (error) {
    signal.throwIfAborted()
    const message = error instanceof Error ? error.message : String(error)
    const kept = before?.imageKey && before.image === reference && isOutOfReach(error) ? await images.find(before.imageKey) : undefined
    if (kept) {
      event('Warning', 'Pulled', `Container image "${reference}" could not be asked for and is the one that ran before: ${message}`)
      return kept
    }
    event('Warning', 'Failed', `Failed to pull image "${reference}": ${message}`)
    if (error instanceof ImageError) throw error
    throw new ImageError('ErrImagePull', message, { cause: error })
  }
}

/** The registry, or the server that has the credentials for it. */
const isOutOfReach = (error: unknown): boolean =>
  error instanceof ImageError ? error.reason === 'RegistryUnavailable' : isStatus(error, 'ServiceUnavailable', 'Timeout', 'ServerTimeout')

/** The API's own default, for objects that did not go through it. */
function defaultPolicy(reference: string): 'Always' | 'IfNotPresent' {
  const name = reference.slice(reference.lastIndexOf('/') + 1)
  return reference.includes('@') || (name.includes(':') && !name.endsWith(':latest')) ? 'IfNotPresent' : 'Always'
}
