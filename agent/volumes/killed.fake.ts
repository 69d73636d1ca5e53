// A process that is killed between two of its steps: from the nth change of the file system on, no more of
// them happens. Works on the functions of node:fs/promises that change something, and on mounts.

import promises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import type { Mounts } from 'nft-js'

const changing = ['chmod', 'chown', 'mkdir', 'rename', 'rm', 'symlink', 'writeFile'] as const

class Killed extends Error {}

export type Kill = {
  mounts: Mounts
  /** Whether it was killed before `work` was done, after `steps` of it. What else `work` throws is thrown. */
  after(steps: number, work: () => Promise<unknown>): Promise<boolean>
  close(): void
}

/** While it is open, nothing else in this process may change files. */
export function killing(real: Mounts): Kill {
  let left = Number.POSITIVE_INFINITY
  let killed = false
  const step = () => {
    if (left <= 0) {
      killed = true
      throw new Killed('killed')
    }
    left -= 1
  }
  const originals = changing.map((name) => [name, promises[name]] as const)
  for (const [name, original] of originals) {
    const stepping = async (...given: unknown[]) => {
      step()
      return await (original as (...given: unknown[]) => Promise<unknown>)(...given)
    }
    Object.assign(promises, { [name]: stepping })
  }
  syncBuiltinESMExports()
  return {
    mounts: {
      async mount(...given) {
        step()
        await real.mount(...given)
      },
      async unmount(...given) {
        step()
        await real.unmount(...given)
      },
    },
    async after(steps, work) {
      left = steps
      killed = false
      try {
        await work()
        return false
      } catch (error) {
        if (!killed) throw error
        return true
      } finally {
        left = Number.POSITIVE_INFINITY
      }
    },
    close() {
      for (const [name, original] of originals) Object.assign(promises, { [name]: original })
      syncBuiltinESMExports()
    },
  }
}
