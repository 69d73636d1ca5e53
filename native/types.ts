// What nft-js offers, as types: implemented over the addon and, for
// nftables, by a fake that keeps the ruleset in memory. Both pass one conformance suite.

/** An error from the kernel: `code` as in errno (`ENOENT`), the call it came from, and what was asked. */
export interface SysErrorLike extends Error {
  code: string
  syscall: string
  /** The command, message or path that failed; for a batch, which command of it. */
  detail: string
}

/** A netlink socket of one protocol, opened in one network namespace on a thread of its own. */
export interface NetlinkSocket {
  /** Sends one datagram (one or many messages). Throws SysError. */
  send(message: Uint8Array): void
  /**
   * The same on another thread. The kernel carries out what a datagram asks for before send returns,
   * which for links (its lock is held by others for tens of milliseconds) or large transactions is too long to stand still.
   */
  sendAside(message: Uint8Array): Promise<void>
  /** Datagrams as they arrive; ends when closed. ENOBUFS surfaces as a SysError, after which the stream goes on. */
  messages(): AsyncIterable<Uint8Array>
  /** What waits now, without waiting for more; after an overrun what came before it. For replies that the kernel makes before send returns. */
  pending(): { datagrams: Uint8Array[]; overrun: boolean }
  /** Joins a multicast group (link, address, route, nftables notifications). */
  join(group: number): void
  close(): void
}
export type OpenNetlink = (
  protocol: 'route' | 'netfilter',
  options?: { /** Path of a network namespace; absent: the process's own. */ netns?: string; receiveBufferBytes?: number },
) => Promise<NetlinkSocket>

export interface Namespaces {
  /**
   * Creates the namespaces given a path and pins each there by a bind mount; sets `hostname` in the UTS one; brings `lo` up in
   * the network one. Idempotent per path. A mount namespace has copies of all mounts, none of them shared; its path must
   * not lie in a mount that is shared with other mount namespaces (EINVAL).
   */
  create(options: {
    net?: string
    ipc?: string
    uts?: string
    mnt?: string
    hostname?: string
    sysctls?: Record<string, string>
  }): Promise<void>
  /** Unmounts and unlinks a pinned namespace; idempotent. */
  unpin(path: string): Promise<void>
  /** Whether a path is a pinned namespace. */
  isPinned(path: string): boolean
}

/** `namespace`: path of a pinned mount namespace to do it in, where both paths are then looked up; absent: the process's own. */
export interface Mounts {
  mount(options: { source: string; target: string; type?: string; flags?: MountFlag[]; data?: string; namespace?: string }): Promise<void>
  /** Idempotent: a target that is not mounted is fine. */
  unmount(target: string, options?: { detach?: boolean; namespace?: string }): Promise<void>
}
export type MountFlag =
  | 'bind'
  | 'rbind'
  | 'readonly'
  | 'remount'
  | 'nosuid'
  | 'nodev'
  | 'noexec'
  | 'private'
  | 'rprivate'
  | 'shared'
  | 'rshared'
  | 'slave'
  | 'rslave'
