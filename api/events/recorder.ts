// Events about objects, as `kubectl describe` shows them. Recording never waits and never fails: an
// event is queued, counted onto an equal earlier one where there is one, and sent in order; what the
// server refuses is dropped, and while the server is away the newest are kept.

import type { Client } from '../client/client.ts'
import { type Clock, sleep, systemClock, timestamp } from '../clock.ts'
import { isStatus } from '../errors.ts'
import { Event } from '../kinds/index.ts'
import type { KubeObject } from '../kinds/kind.ts'
import { type Log, silent } from '../log.ts'
import type { ObjectReference } from '../types/core-v1.gen.ts'
import { Correlator } from './correlate.ts'

export type EventRecorder = {
  /** `fieldPath` points into the object, e.g. `spec.containers{web}`. */
  event(
    object: KubeObject | ObjectReference,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
    options?: { fieldPath?: string },
  ): void
  /** Resolves once everything recorded so far is sent or dropped. */
  flush(): Promise<void>
  /** Drops what is still queued. */
  close(): Promise<void>
}

export type RecorderDeps = {
  client: Client
  /** Who reports, e.g. `kubelet`, `deployment-controller`. */
  component: string
  /** The node, where the reporter is of one node. */
  host?: string
  clock?: Clock
  random?: () => number
  log?: Log
}

/** Events held while the server cannot be reached; then the oldest go. */
const QUEUE_MAX = 500
/** Kubernetes' limit on an event's message, in characters. */
const MESSAGE_MAX = 1024
const ATTEMPTS = 12
const RETRY_MS = 5_000

type Pending = { object: ObjectReference; type: 'Normal' | 'Warning'; reason: string; message: string; at: number; now: number }

export function recorder(deps: RecorderDeps): EventRecorder {
  const { client, component, host, clock = systemClock, random = Math.random, log = silent } = deps
  const correlator = new Correlator()
  const queue: Pending[] = []
  const closing = new AbortController()
  let sending: Promise<void> | undefined

  async function drain(): Promise<void> {
    for (let next = queue.shift(); next; next = queue.shift()) {
      await attempt(next)
    }
    sending = undefined
  }

  async function attempt(pending: Pending): Promise<void> {
    const verdict = correlator.occur(pending, pending.now, pending.at)
    if (!verdict) return
    for (let tries = 0; tries < ATTEMPTS && !closing.signal.aborted; tries++) {
      try {
        await send(pending, verdict)
        return
      } catch (error) {
        if (closing.signal.aborted) return
        if (!isStatus(error, 'ServiceUnavailable', 'Timeout', 'ServerTimeout', 'TooManyRequests', 'InternalError')) {
          log.debug({ err: error, reason: pending.reason, object: pending.object.name }, 'event refused')
          return
        }
        await sleep(clock, RETRY_MS * (0.5 + random()), closing.signal)
      }
    }
  }

  async function send(
    pending: Pending,
    { key, message, count, firstSeen, name: known }: NonNullable<ReturnType<Correlator['occur']>>,
  ): Promise<void> {
    const namespace = pending.object.namespace || 'default'
    const lastTimestamp = timestamp(pending.at)
    if (known && count > 1) {
      try {
        await client.patch(Event, { namespace, name: known }, 'merge', { count, lastTimestamp, message }, { signal: closing.signal })
        return
      } catch (error) {
        if (!isStatus(error, 'NotFound')) throw error
      }
    }
    const name = `${pending.object.name ?? 'unknown'}.${pending.at.toString(16)}${Math.floor(random() * 0xfffff)
      .toString(16)
      .padStart(5, '0')}`
    await client.create(
      Event,
      {
        metadata: { name, namespace },
        involvedObject: pending.object,
        reason: pending.reason,
        message,
        type: pending.type,
        source: { component, ...(host && { host }) },
        firstTimestamp: timestamp(firstSeen),
        lastTimestamp,
        count,
        reportingComponent: component,
        reportingInstance: host ?? '',
      },
      { signal: closing.signal },
    )
    correlator.sent(key, name)
  }

  return {
    event(object, type, reason, message, options) {
      if (closing.signal.aborted) return
      const about = { object: reference(object, options?.fieldPath), type, reason, message: message.slice(0, MESSAGE_MAX) }
      queue.push({ ...about, at: clock.now(), now: clock.monotonic() })
      if (queue.length > QUEUE_MAX) queue.shift()
      sending ??= drain()
    },
    async flush() {
      await sending
    },
    async close() {
      queue.length = 0
      closing.abort()
      await sending
    },
  }
}

/** What an event says it is about. */
function reference(object: KubeObject | ObjectReference, fieldPath?: string): ObjectReference {
  if (!('metadata' in object)) return fieldPath ? { ...object, fieldPath } : object
  const { name, namespace, uid, resourceVersion } = object.metadata
  return { apiVersion: object.apiVersion, kind: object.kind, name, namespace, uid, resourceVersion, ...(fieldPath && { fieldPath }) }
}
