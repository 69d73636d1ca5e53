// Stateful objects: named in a table, used by any number of rules (`counter name "web"`), and the limit
// and quota that a rule may also hold by itself.

/** `used`: bytes that passed already. `over` holds once they are used up; otherwise it holds until then. */
export type Quota = { readonly bytes: bigint; readonly used?: bigint; readonly over?: boolean }

/** `over` holds for what exceeds the rate. `burst` is 5 packets, or no bytes, where nothing is said. */
export type Limit = {
  readonly rate: number
  readonly per: keyof typeof seconds
  readonly unit?: 'packets' | 'bytes'
  readonly burst?: number
  readonly over?: boolean
}

/** `l3` is the family of the table where nothing is said. */
type OfConnections = { readonly protocol: 'tcp' | 'udp'; readonly l3?: 'ip' | 'ip6' }

export type ObjectSpec = { readonly name: string } & (
  | { readonly kind: 'counter'; readonly packets?: bigint; readonly bytes?: bigint }
  | ({ readonly kind: 'quota' } & Quota)
  | ({ readonly kind: 'limit' } & Limit)
  /** `helper` is the kernel's name of it: ftp, tftp, sip... */
  | ({ readonly kind: 'ct helper'; readonly helper: string } & OfConnections)
  /** Seconds by the state of the connection: `established`, or for UDP `unreplied` and `replied`. */
  | ({ readonly kind: 'ct timeout'; readonly seconds: Readonly<Record<string, number>> } & OfConnections)
)
export type ObjectKind = ObjectSpec['kind']

export const seconds = { second: 1, minute: 60, hour: 3600, day: 86_400, week: 604_800 } as const

/**
 * States that have a timeout, in the order of the kernel's numbers (CTA_TIMEOUT_TCP_* and _UDP_*, from 1),
 * and the seconds that nft gives those which a `ct timeout` does not name.
 */
export const stateTimeouts = {
  tcp: {
    syn_sent: 120,
    syn_recv: 60,
    established: 432_000,
    fin_wait: 120,
    close_wait: 60,
    last_ack: 30,
    time_wait: 120,
    close: 10,
    syn_sent2: 120,
    retrans: 300,
    unack: 300,
  },
  udp: { unreplied: 30, replied: 120 },
} as const

/** nft shortens to the largest unit that holds the number whole. */
const bytesText = (bytes: bigint): string => {
  let [rest, unit] = [bytes, 0]
  while (rest > 0n && rest % 1024n === 0n && unit < 2) {
    rest /= 1024n
    unit++
  }
  return `${rest} ${['bytes', 'kbytes', 'mbytes'][unit]}`
}

export const quotaText = ({ bytes, used = 0n, over }: Quota): string =>
  `${over ? 'over ' : ''}${bytesText(bytes)}${used > 0n ? ` used ${bytesText(used)}` : ''}`

export const limitText = ({ rate, per, unit = 'packets', burst, over }: Limit): string => {
  const head = `rate ${over ? 'over ' : ''}`
  if (unit === 'bytes') return `${head}${bytesText(BigInt(rate))}/${per}${burst ? ` burst ${bytesText(BigInt(burst))}` : ''}`
  return `${head}${rate}/${per}${burst === undefined || burst === defaultBurst ? '' : ` burst ${burst} packets`}`
}

/** Packets, as nft takes it where nothing is said. */
const defaultBurst = 5
export const burstOf = ({ unit, burst }: Limit): number => burst ?? (unit === 'bytes' ? 0 : defaultBurst)

/** The lines between an object's braces. */
export const objectLines = (object: ObjectSpec, family: string): string[] => {
  const l3 = 'protocol' in object ? `l3proto ${object.l3 ?? (family === 'inet' ? 'inet' : family)}` : ''
  switch (object.kind) {
    case 'counter':
      return [`packets ${object.packets ?? 0n} bytes ${object.bytes ?? 0n}`]
    case 'quota':
      return [quotaText(object)]
    case 'limit':
      return [limitText(object)]
    case 'ct helper':
      return [`type "${object.helper}" protocol ${object.protocol}`, l3]
    default: {
      const states = Object.keys(stateTimeouts[object.protocol]).filter((state) => object.seconds[state] !== undefined)
      const policy = states.map((state) => `${state} : ${object.seconds[state]}`)
      return [`protocol ${object.protocol}`, l3, `policy = { ${policy.join(', ')} }`]
    }
  }
}
