// Long work of one turn of the event loop, cut into short ones: whoever else waits comes between.

import { setImmediate as nextTurn } from 'node:timers/promises'

/** Milliseconds of one piece of work. */
const longest = 4

/** The function gives way where it has been long enough since it last did, and else costs next to nothing. */
export function breather(): () => Promise<void> | undefined {
  let since = performance.now()
  const giveWay = async () => {
    await nextTurn()
    since = performance.now()
  }
  return () => (performance.now() - since < longest ? undefined : giveWay())
}
