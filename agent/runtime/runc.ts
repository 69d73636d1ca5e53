// The OCI runtime beneath conmon. Its own command line is used for everything but `start`: that is
// one byte of a FIFO, and a process of its own for it would be a fifth of a container's start.

import { spawn } from 'node:child_process'
import { constants, existsSync, openSync, readSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { Socket } from 'node:net'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Programs, plainMessage } from './conmon.ts'
import { RuntimeError } from './runtime-error.ts'

const fifoOf = (programs: Programs, id: string) => join(programs.runtimeRoot, id, 'exec.fifo')

/**
 * Lets a created container run. Its first process waits with the FIFO open for writing; who reads it
 * starts it, and the FIFO's absence is how runc knows later that it was started (runc: exec() of
 * libcontainer/container_linux.go). Other runtimes have a FIFO of another meaning: their own command does it.
 */
export async function startCreated(programs: Programs, id: string, exited: Promise<unknown>): Promise<void> {
  const path = fifoOf(programs, id)
  if (basename(programs.runtime) !== 'runc') return run(programs, ['start', id])
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch {
    return run(programs, ['start', id])
  }
  const started = await new Promise<boolean>((resolve, reject) => {
    const pipe = new Socket({ fd, readable: true, writable: false })
    let isSettled = false
    const settle = (done: boolean) => {
      isSettled = true
      pipe.destroy()
      resolve(done)
    }
    pipe
      .once('data', () => settle(true))
      .once('end', () => settle(false))
      .once('error', reject)
    // One that was started and has ended since may be heard of before its byte is.
    void exited.then(() => isSettled || settle(holdsByte(fd)))
  })
  if (!started) throw new RuntimeError('RunContainerError', 'the container ended before it was started')
  await unlink(path)
}

/** Of a FIFO opened without waiting, whose writers are gone. */
function holdsByte(fd: number): boolean {
  try {
    return readSync(fd, Buffer.alloc(1)) > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false
    throw error
  }
}

/** Whether a created container was never started. */
export const isWaiting = (programs: Programs, id: string): boolean => existsSync(fifoOf(programs, id))

/** Ends what is left of a container and forgets it; idempotent. */
export const deleteContainer = (programs: Programs, id: string): Promise<void> => run(programs, ['delete', '--force', id])

async function run({ runtime, runtimeRoot }: Programs, args: string[]): Promise<void> {
  const child = spawn(runtime, [`--root=${runtimeRoot}`, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  const complaint = text(child.stderr).catch(() => '')
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve))
  if (code !== 0) throw new RuntimeError('RunContainerError', plainMessage(await complaint) || `${runtime} ${args[0]} failed`)
}
