// The image of a container about to start: found or fetched as its pull policy says, with the events
// that tell so.

import type { Clock } from '#api/clock.ts'
import { Secret } from '#api/kinds/index.ts'
import type { Container, Pod } from '#api/types/core-v1.gen.ts'
import { type Image, ImageError, type Images } from '../../images/images.ts'
import type { Objects } from '../../volumes/objects.ts'
import { credentialsFor } from './credentials.ts'

export type ImageDeps = {
  images: Pick<Images, 'find' | 'pull'>
  objects: Objects
  clock: Clock
  event: (type: 'Normal' | 'Warning', reason: string, message: string) => void
  signal: AbortSignal
}

/** Throws ImageError. */
export async function imageFor(pod: Pod, container: Container, { images, objects, clock, event, signal }: ImageDeps): Promise<Image> {
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
    event('Warning', 'Failed', `Failed to pull image "${reference}": ${message}`)
    if (error instanceof ImageError) throw error
    throw new ImageError('ErrImagePull', message, { cause: error })
  }
}

/** The API's own default, for objects that did not go through it. */
function defaultPolicy(reference: string): 'Always' | 'IfNotPresent' {
  const name = reference.slice(reference.lastIndexOf('/') + 1)
  return reference.includes('@') || (name.includes(':') && !name.endsWith(':latest')) ? 'IfNotPresent' : 'Always'
}
