// `coracle node exec`: a command in a container of this machine, over one WebSocket on the agent's socket.

import { WebSocket } from 'ws'
import { socketOf } from '#agent/local/local.ts'
import type { Status } from '#api/errors.ts'
import { containerOf, noAgent } from './node-pods.ts'

export type ExecOptions = { dataDir: string; namespace: string; container?: string; stdin?: boolean; tty?: boolean }

/** Of Kubernetes' subprotocol, the first byte of every message. */
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 }

/** Resolves with the command's exit code. */
export async function execCommand(name: string, command: readonly string[], options: ExecOptions): Promise<number> {
  const { dataDir, namespace, stdin = false, tty = false } = options
  const container = await containerOf(name, options)
  const query = new URLSearchParams({ input: String(stdin), output: '1', error: tty ? '0' : '1', tty: tty ? '1' : '0' })
  for (const word of command) query.append('command', word)
  const path = `/exec/${[namespace, name, container].map(encodeURIComponent).join('/')}?${query.toString()}`
  const socket = new WebSocket(`ws+unix://${socketOf(dataDir)}:${path}`, ['v5.channel.k8s.io'], { perMessageDeflate: false })
  const send = (to: number, data: Uint8Array | string) => socket.send(Buffer.concat([Buffer.of(to), Buffer.from(data)]))
  const resize = () => send(channel.resize, JSON.stringify({ Width: process.stdout.columns, Height: process.stdout.rows }))
  const terminal = tty && process.stdin.isTTY

  socket.on('open', () => {
    if (terminal) {
      process.stdin.setRawMode(true)
      resize()
      process.stdout.on('resize', resize)
    }
    if (!stdin) return
    process.stdin.on('data', (data: Buffer) => send(channel.stdin, data))
    process.stdin.on('end', () => send(channel.close, Buffer.of(channel.stdin)))
  })
  try {
    return await new Promise<number>((resolve, reject) => {
      socket.on('message', (data: Buffer) => {
        const rest = data.subarray(1)
        if (data[0] === channel.stdout) process.stdout.write(rest)
        else if (data[0] === channel.stderr) process.stderr.write(rest)
        else if (data[0] === channel.error && rest.length > 0) ended(JSON.parse(rest.toString()) as Outcome, resolve, reject)
      })
      socket.on('error', (cause) => reject(noAgent(dataDir, cause)))
      socket.on('unexpected-response', (_request, response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => reject(new Error((JSON.parse(Buffer.concat(chunks).toString()) as Status).message)))
      })
      socket.on('close', () => reject(new Error('the agent ended the connection')))
    })
  } finally {
    if (terminal) {
      process.stdout.off('resize', resize)
      process.stdin.setRawMode(false)
    }
    process.stdin.pause()
    socket.terminate()
  }
}

type Outcome = { status: 'Success' | 'Failure'; message: string; details?: { causes?: { reason: string; message: string }[] } }

function ended(status: Outcome, resolve: (code: number) => void, reject: (error: Error) => void): void {
  const code = status.details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message
  if (status.status === 'Success') resolve(0)
  else if (code !== undefined) resolve(Number(code))
  else reject(new Error(status.message))
}
