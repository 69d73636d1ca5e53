// The subprotocols under which Kubernetes puts several streams on one WebSocket: the first byte of a
// message (in base64 ones: a digit) is the number of its channel.

export type ChannelProtocol = {
  name: string
  /** Text messages with base64 in them instead of binary ones. */
  base64: boolean
  /** The outcome of a command is a Status; before v4 it is the text of an error, or nothing. */
  status: boolean
  /** The client can end a channel alone; it does not expect us to. */
  halfClose: boolean
}

const of = (name: string, version: number): ChannelProtocol => ({
  name,
  base64: name.includes('base64'),
  status: version >= 4,
  halfClose: version >= 5,
})

/** The best first. */
export const channelProtocols: readonly ChannelProtocol[] = [
  of('v5.channel.k8s.io', 5),
  of('v4.channel.k8s.io', 4),
  of('v4.base64.channel.k8s.io', 4),
  of('v3.channel.k8s.io', 3),
  of('v3.base64.channel.k8s.io', 3),
  of('v2.channel.k8s.io', 2),
  of('v2.base64.channel.k8s.io', 2),
  of('channel.k8s.io', 1),
  of('base64.channel.k8s.io', 1),
]

/** For clients that name none. */
export const plainChannels: ChannelProtocol = of('', 1)

/** v5: the message `[255, n]` ends channel n. */
const CLOSE = 255
const zero = 0x30

type Message = { channel: number; bytes: Buffer } | { closed: number }

/** What one message says; undefined for one that says nothing (empty, or of a kind the protocol has not). */
export function readMessage(protocol: ChannelProtocol, data: Buffer): Message | undefined {
  if (data.length === 0) return undefined
  if (protocol.base64) return { channel: data[0]! - zero, bytes: Buffer.from(data.toString('latin1', 1), 'base64') }
  if (protocol.halfClose && data[0] === CLOSE) return data.length > 1 ? { closed: data[1]! } : undefined
  return { channel: data[0]!, bytes: data.subarray(1) }
}

export function writeMessage(protocol: ChannelProtocol, channel: number, bytes: Buffer): Buffer | string {
  return protocol.base64 ? `${channel}${bytes.toString('base64')}` : Buffer.concat([Buffer.from([channel]), bytes])
}
