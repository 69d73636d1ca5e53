// Whose turn it is: a request takes seats before it is served, and gives them back once its answer stands. A watch,
// too, holds its seats only until then.

import { replyTo } from '#api/http/env.ts'
import type { Attempt } from '#control/auth/authorizer.ts'
import type { Fairness } from '#control/fairness/fairness.ts'
import type { Resource } from '../../objects/resource.ts'
import type { ServerContext, ServerStage } from '../env.ts'
import { isTrue, type ResourceRequest } from '../request.ts'

/** Around all that may take one: gives it back, and says where the request belonged. */
export const seats: ServerStage = async (c, next) => {
  try {
    await next()
  } finally {
    c.get('seat')?.release()
  }
  const place = c.get('place')
  if (!place) return
  const { headers } = replyTo(c)
  headers.set('x-kubernetes-pf-flowschema-uid', place.flowUid)
  headers.set('x-kubernetes-pf-prioritylevel-uid', place.levelUid)
}

/** Waits for a seat, where there is none at once. Throws TooManyRequests. */
export async function takeSeat(c: ServerContext, fairness: Fairness, attempt: Attempt, count = () => 1): Promise<void> {
  const request = c.get('incoming')
  const place = fairness.placeOf(attempt)
  c.set('place', place)
  const seat = fairness.enter(place, attempt, {
    seats: count,
    get signal() {
      return request.signal
    },
  })
  c.set('seat', seat instanceof Promise ? await seat : seat)
}

type Deps = {
  fairness: Fairness
  resourceOf: (info: ResourceRequest) => Resource | undefined
  /** How many objects of a resource there are. */
  sizeOf: (resource: Resource) => number
}

export const turns =
  ({ fairness, resourceOf, sizeOf }: Deps): ServerStage =>
  async (c, next) => {
    const info = c.get('info')
    const { url } = c.get('incoming')
    const count = () => {
      const resource = info && resourceOf(info)
      return info ? seatsOf(info, url, resource ? sizeOf(resource) : 0) : 1
    }
    if (!info || !isLongRunning(info)) await takeSeat(c, fairness, c.get('attempt'), count)
    await next()
  }

const streaming = ['attach', 'exec', 'log', 'portforward', 'proxy']
/** As long as somebody looks: these wait for others, and cost the server little. */
const isLongRunning = ({ subresource }: ResourceRequest) => streaming.includes(subresource)

const objectsPerSeat = 100
const mostSeats = 10

/** Reading many objects takes as many seats as Kubernetes counts for it. */
function seatsOf({ verb }: ResourceRequest, { searchParams }: URL, size: number): number {
  if (verb !== 'list' && verb !== 'watch' && verb !== 'deletecollection') return 1
  if (verb === 'watch' && searchParams.has('resourceVersion') && !isTrue(searchParams.get('sendInitialEvents'))) return 1
  const read = Math.min(size, Number(searchParams.get('limit')) || size)
  return Math.min(mostSeats, Math.ceil(read / objectsPerSeat))
}
