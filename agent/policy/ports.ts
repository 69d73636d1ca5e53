// Sets of ports, each with its protocol.

/** By their numbers in IP. */
const protocols = { TCP: 6, UDP: 17, SCTP: 132 } as const
export type Protocol = keyof typeof protocols

export const isProtocol = (text: string): text is Protocol => Object.hasOwn(protocols, text)

/** As nft writes it. */
export const wireName = (protocol: Protocol): string => wireNames[protocol]
const wireNames = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp' } as const

/** One number for a port of a protocol, never 0. */
export const portCode = (protocol: Protocol, port: number): number => (protocols[protocol] << 16) | port

/** Both ends belong to it. */
export type PortRange = { readonly protocol: Protocol; readonly first: number; readonly last: number }

/** In order, none touching the next. Equal sets have equal texts. */
export type Ports = { readonly ranges: readonly PortRange[]; readonly text: string }

export const portsOf = (ranges: readonly PortRange[]): Ports => {
  const union: { protocol: Protocol; first: number; last: number }[] = []
  for (const { protocol, first, last } of ranges.toSorted(inOrder)) {
    const end = union.at(-1)
    if (end?.protocol === protocol && first <= end.last + 1) end.last = Math.max(end.last, last)
    else union.push({ protocol, first, last })
  }
  return { ranges: union, text: union.map(({ protocol, first, last }) => `${protocol} ${first}-${last}`).join(', ') }
}

const inOrder = (a: PortRange, b: PortRange): number => protocols[a.protocol] - protocols[b.protocol] || a.first - b.first

export const unionOfPorts = (sets: Iterable<Ports>): Ports => {
  const [first, ...more] = sets
  if (first && more.every(({ text }) => text === first.text)) return first
  return portsOf([...(first ? [first] : []), ...more].flatMap(({ ranges }) => ranges))
}
