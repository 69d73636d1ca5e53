// The kernel's connection table: found and forgotten by tuple. A translated UDP flow goes on to the
// address it was given at first until its entry is deleted.

import { AF_INET, AF_INET6 } from '../netlink/address.ts'
import { Exchange } from '../netlink/exchange.ts'
import { openNetlink } from '../netlink/socket.ts'
import { type Connection, deleteConnection, getConnections, parseConnection, protocols, type Tuple } from './entry.ts'

type PartOfTuple = Partial<Omit<Tuple, 'protocol' | 'echo'>>

/** What every entry found has in common; absent parts match all. */
export type ConnectionFilter = {
  protocol?: keyof typeof protocols
  /** As the connection was asked for: the service's address is `destination`. */
  original?: PartOfTuple
  /** As answers come: the endpoint's address is `source`. */
  reply?: PartOfTuple
}

export interface Conntrack extends AsyncDisposable {
  list(filter?: ConnectionFilter): Promise<Connection[]>
  /** Deletes what matches any of the filters, in one pass over the table; returns how many entries. */
  remove(...filters: ConnectionFilter[]): Promise<number>
  close(): void
}

const holds = (part: PartOfTuple | undefined, tuple: Tuple): boolean =>
  part === undefined || (Object.keys(part) as (keyof PartOfTuple)[]).every((key) => part[key] === undefined || part[key] === tuple[key])

const matches = (filter: ConnectionFilter, connection: Connection): boolean =>
  (filter.protocol === undefined || connection.original.protocol === protocols[filter.protocol]) &&
  holds(filter.original, connection.original) &&
  holds(filter.reply, connection.reply)

/** `netns` is the path of a network namespace; absent, the process's own. */
export const openConntrack = async (options: { netns?: string } = {}): Promise<Conntrack> => {
  const exchange = new Exchange(await openNetlink('netfilter', options))
  const close = () => exchange.close()
  const find = async (filters: readonly ConnectionFilter[]): Promise<Connection[]> => {
    const found: Connection[] = []
    for (const family of [AF_INET, AF_INET6] as const) {
      const ofFamily = await exchange.request(getConnections(family), (reader) => {
        const connection = parseConnection(reader)
        return connection && filters.some((filter) => matches(filter, connection)) ? connection : undefined
      })
      found.push(...ofFamily)
    }
    return found
  }
  return {
    list: (filter = {}) => find([filter]),
    async remove(...filters) {
      const found = await find(filters)
      await exchange.run(found.map(deleteConnection), { tolerate: ['ENOENT'] })
      return found.length
    },
    close,
    async [Symbol.asyncDispose]() {
      close()
    },
  }
}
