// What a container writes from now on, byte for byte, by stream.

import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { EntryReader } from './entry.ts'
import { readGrowing } from './growing.ts'
import { textOf } from './read.ts'

type Outputs = { stdout?: Writable; stderr?: Writable; exited: Promise<unknown>; signal?: AbortSignal }

/** `begun` is called once nothing written later can be missed. A slow reader reads late; the container does not wait for it. */
export async function followOutput(path: string, { stdout, stderr, exited, signal }: Outputs, begun: () => void): Promise<void> {
  const entries = new EntryReader()
  const from = async (_: unknown, size: number) => {
    begun()
    return size
  }
  for await (const chunk of readGrowing(path, { from, follow: true, ended: exited, signal, onRotate: () => entries.reset() })) {
    for (const entry of entries.read(chunk)) {
      const to = entry.stream === 'stderr' ? stderr : stdout
      if (!to || to.destroyed) continue
      if (!to.write(textOf(entry))) await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => {})
    }
  }
}
