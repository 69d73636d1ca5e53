// Shuffle sharding: each flow is dealt a few of a level's queues, always the same ones. Two flows seldom
// have the same hand, so one that fills its queues leaves the others at least one that is free.

/** `handSize` different numbers below `queues`, by the hash of `flow`. */
export function handOf(flow: string, queues: number, handSize: number): number[] {
  let state = hashOf(flow)
  const hand: number[] = []
  for (let card = 0; card < handSize; card += 1) {
    state = mixed(state + 0x9e3779b9)
    // Of the queues that are left; stepping over those dealt keeps every hand as likely as any other.
    let queue = state % (queues - card)
    for (const dealt of hand.toSorted((a, b) => a - b)) if (dealt <= queue) queue += 1
    hand.push(queue)
  }
  return hand
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

/** The finalizer of MurmurHash3. */
function mixed(value: number): number {
  let x = value >>> 0
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}
