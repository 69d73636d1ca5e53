// A process inside a network namespace for tests: it answers on ports and asks others, as told over
// its IPC channel. Run by `startPeer` in network.fixture.ts.

import { createSocket } from 'node:dgram'
import { connect, createServer, isIPv6, type Socket } from 'node:net'

export type PeerRequest =
  /** Answers every line or datagram with `<name> <address that asked>`. */
  | { do: 'listen'; protocol: 'tcp' | 'udp'; port: number; name: string }
  /** Asks once, over a connection or from a port of its own; over `keep` the connection stays for the next. `patience` in milliseconds. */
  | { do: 'ask'; protocol: 'tcp' | 'udp'; host: string; port: number; localPort?: number; keep?: string; patience?: number }
  /** Asks so many times over TCP, each over a connection of its own; the answer is how often each came, as JSON. */
  | { do: 'count'; host: string; port: number; times: number }

/** The answer's text, or an error's code. */
export type PeerReply = { id: number; text?: string; code?: string }

const kept = new Map<string, Socket>()
/** Milliseconds until no answer at all is one: something was dropped. */
const usualPatience = 2000
const noAnswer = () => Object.assign(new Error('no answer'), { code: 'TIMEOUT' })

/** In both families, each under its own form of address. */
const listen = async (protocol: 'tcp' | 'udp', port: number, name: string): Promise<string> => {
  const listening = (['0.0.0.0', '::'] as const).map((address) => (protocol === 'udp' ? listenUdp : listenTcp)(address, port, name))
  await Promise.all(listening)
  return ''
}

const listenUdp = (address: string, port: number, name: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const own = isIPv6(address) ? ({ type: 'udp6', ipv6Only: true } as const) : ({ type: 'udp4' } as const)
    const socket = createSocket(own, (_, from) => socket.send(`${name} ${from.address}`, from.port, from.address))
    socket.once('error', reject).bind(port, address, () => resolve())
  })

const listenTcp = (host: string, port: number, name: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      const from = socket.remoteAddress
      socket.on('error', () => {}).on('data', () => socket.write(`${name} ${from}`))
    })
    server.once('error', reject).listen({ host, port, ipv6Only: true }, () => resolve())
  })

type Question = Extract<PeerRequest, { do: 'ask' }>

const askTcp = ({ host, port, keep, patience = usualPatience }: Question): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = (keep !== undefined && kept.get(keep)) || connect(port, host)
    if (keep !== undefined) kept.set(keep, socket)
    const finish = (then: () => void) => {
      clearTimeout(timer)
      socket
        .removeAllListeners('error')
        .removeAllListeners('data')
        .on('error', () => {})
      then()
    }
    const fail = (error: unknown) =>
      finish(() => {
        socket.destroy()
        reject(error)
      })
    const timer = setTimeout(fail, patience, noAnswer())
    socket.once('error', fail).once('data', (data) =>
      finish(() => {
        if (keep === undefined) socket.destroy()
        resolve(String(data))
      }),
    )
    socket.write('?')
  })

const askUdp = ({ host, port, localPort, patience = usualPatience }: Question): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    const timer = setTimeout(() => finish(() => reject(noAnswer())), patience)
    const finish = (then: () => void) => {
      clearTimeout(timer)
      socket.close(then)
    }
    socket.once('error', (error) => finish(() => reject(error))).once('message', (data) => finish(() => resolve(String(data))))
    // Connected, so that the kernel tells of ICMP errors.
    socket.bind(localPort ?? 0, () => socket.connect(port, host, () => socket.send('?')))
  })

/** Connections under way at once. */
const width = 32

const count = async ({ host, port, times }: Extract<PeerRequest, { do: 'count' }>): Promise<string> => {
  const counts: Record<string, number> = {}
  let left = times
  const worker = async () => {
    while (left-- > 0) {
      const answer = await askTcp({ do: 'ask', protocol: 'tcp', host, port })
      counts[answer] = (counts[answer] ?? 0) + 1
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return JSON.stringify(counts)
}

const perform = (request: PeerRequest): Promise<string> => {
  if (request.do === 'count') return count(request)
  if (request.do === 'listen') return listen(request.protocol, request.port, request.name)
  return request.protocol === 'tcp' ? askTcp(request) : askUdp(request)
}

process.on('message', ({ id, ...request }: PeerRequest & { id: number }) => {
  const reply = (reply: Omit<PeerReply, 'id'>) => process.send?.({ id, ...reply })
  perform(request).then(
    (text) => reply({ text }),
    (error: unknown) => reply({ code: (error as { code?: string }).code ?? String(error) }),
  )
})
process.on('disconnect', () => process.exit())
