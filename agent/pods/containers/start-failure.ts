// A container that did not start: what its user sees meanwhile, and when it is tried again.

import { type Clock, timestamp } from '#api/clock.ts'
import { ImageError } from '../../images/images.ts'
import { RuntimeError } from '../../runtime/runtime-error.ts'
import { PrerequisiteError } from '../sandbox/prerequisites.ts'
import { attempted } from '../worker/backoff.ts'
import type { ContainerRecord, ContainerRun } from './record.ts'

const RETRY_MS = 10_000
/** The failure of a pull is shown as itself this long, then as backing off. */
const SHOWN_MS = 2_000
/** What a container exits with that could not be started (containerd's, as the kubelet reports it). */
const START_FAILED = 128

/**
 * Notes the failure in the record. Returns the event to post, and the process to show where the failure
 * counts as one that ran and ended: then restart policy and crash loop apply to it.
 */
export function startFailed(
  record: ContainerRecord,
  error: unknown,
  attempt: number,
  { clock, id }: { clock: Pick<Clock, 'now' | 'monotonic'>; id: string },
): { message?: string; process?: ContainerRun } {
  const now = clock.monotonic()
  const text = error instanceof Error ? error.message : String(error)
  const image = record.container.image ?? ''
  if (error instanceof PrerequisiteError) {
    record.retryAt = error.retryAt
    return {}
  }
  if (error instanceof ImageError) {
    record.pullBackoff = attempted(record.pullBackoff, now)
    record.retryAt = now + record.pullBackoff.delay
    const final = error.reason === 'ErrImageNeverPull' || error.reason === 'InvalidImageName'
    const message = `Back-off pulling image "${image}": ${error.reason}: ${text}`
    record.waiting = {
      reason: error.reason,
      message: text,
      ...(!final && { later: { reason: 'ImagePullBackOff', message, at: now + SHOWN_MS } }),
    }
    return { message: `Error: ${error.reason}` }
  }
  if (error instanceof RuntimeError && (error.reason === 'StartError' || error.reason === 'RunContainerError')) {
    const at = timestamp(clock.now())
    const process: ContainerRun = {
      id,
      attempt,
      phase: 'exited',
      startedAt: at,
      finishedAt: at,
      endedAt: now,
      exitCode: START_FAILED,
      reason: 'StartError',
      message: text,
      image,
      imageID: record.current?.imageID ?? '',
    }
    return { message: `Error: ${text}`, process }
  }
  record.retryAt = now + RETRY_MS
  record.waiting = { reason: error instanceof RuntimeError ? error.reason : 'CreateContainerConfigError', message: text }
  return { message: `Error: ${text}` }
}
