// What every controller is given.

import type { Client } from '#api/client/client.ts'
import type { Clock } from '#api/clock.ts'
import type { EventRecorder } from '#api/events/recorder.ts'
import type { Informers } from '#api/informer/informers.ts'
import type { Log } from '#api/log.ts'
import type { PodControl, Words } from './pod-control/pod-control.ts'

export type Deps = {
  /** Its writes are in the informers' caches once they are answered. */
  client: Client
  informers: Informers
  /** The recorder of this component, e.g. `deployment-controller`. */
  recorderFor: (component: string) => EventRecorder
  clock: Clock
  log: Log
}

/** What those are given that keep pods running. */
export type WorkloadDeps = Deps & {
  /** `component` reports the events, e.g. `replicaset-controller`. */
  podControlFor: (component: string, words?: Words) => PodControl
}
