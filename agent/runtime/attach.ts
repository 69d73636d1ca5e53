// Joining a running container's own streams. What it writes is read from its log, byte for byte and
// without a way for a slow reader to hold the container up; what it reads goes through conmon's socket.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { connectPackets, type PacketSocket } from 'nft-js'
import { resizeTerminal } from './conmon.ts'
import type { Container } from './container.ts'
import { followOutput } from './logs/output.ts'
import { type ExecOptions } from './runtime.ts'
import { RuntimeError } from './runtime-error.ts'

/** Until the container exits or the signal aborts; the end of stdin ends nothing but stdin. */
export async function attach(container: Container, options: Omit<ExecOptions, 'args'>): Promise<void> {
  const { spec } = container.state
  const { stdin, stdout, stderr, resize, signal } = options
  if (options.tty && !spec.tty) throw new RuntimeError('StartError', 'the container has no terminal')
  const over = new AbortController()
  const { promise: listening, resolve: listen } = Promise.withResolvers<void>()
  const output = followOutput(spec.logPath, { stdout, stderr, exited: container.exited, signal }, listen)
  const resizing = async () => {
    for await (const size of resize ?? []) {
      if (over.signal.aborted || !container.running) return
      await resizeTerminal(container.dir, size)
    }
  }
  const feeding = async () => {
    // First the ears, then the mouth: an answer to the first line must not be missed.
    await listening
    if (stdin && spec.stdin) await feed(container.dir, stdin, signal ? AbortSignal.any([over.signal, signal]) : over.signal)
  }
  try {
    // Input that fails (its monitor is gone) or ends leaves the output flowing; it ends with the container.
    resizing().catch(() => {})
    feeding().catch(() => {})
    await output
  } finally {
    over.abort()
  }
}

/** A packet that conmon takes whole. */
const longestPacket = 8 << 10

/** Closing the socket is the end of file: conmon closes the container's stdin then, if it is to be closed (`stdinOnce`). */
async function feed(dir: string, stdin: Readable, signal: AbortSignal): Promise<void> {
  // By descriptor, since the name of a socket is limited to 107 bytes.
  const folder = await open(dir, constants.O_DIRECTORY)
  let socket: PacketSocket
  try {
    socket = await connectPackets(`/proc/self/fd/${folder.fd}/attach`)
  } finally {
    await folder.close()
  }
  const close = () => {
    socket.close()
    stdin.destroy()
  }
  signal.addEventListener('abort', close, { once: true })
  try {
    for await (const chunk of stdin as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; at += longestPacket) await socket.send(chunk.subarray(at, at + longestPacket))
    }
  } finally {
    signal.removeEventListener('abort', close)
    socket.close()
  }
}
