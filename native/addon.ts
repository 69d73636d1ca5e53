// The addon's own surface, typed. Only files of nft-js see it; what they export is the package.

import { loadAddon } from './load.ts'
import { SysError } from './sys-error.ts'

/** An open socket inside the addon. */
export type SocketHandle = { readonly __socket: unique symbol }

/** Events to wait for: libuv's. */
export const READABLE = 1
export const WRITABLE = 2

type Addon = {
  initialize(makeError: (errno: number, syscall: string, detail: string) => Error): void

  openSocket(netns: string | undefined, domain: number, type: number, protocol: number): Promise<SocketHandle>
  setOption(socket: SocketHandle, level: number, name: number, value: number): void
  getOption(socket: SocketHandle, level: number, name: number): number
  setOptionBytes(socket: SocketHandle, level: number, name: number, value: Uint8Array): void
  attachFilter(socket: SocketHandle, program: Uint8Array): void
  /** Returns the port id. */
  bindNetlink(socket: SocketHandle): number
  bindLink(socket: SocketHandle, link: number, protocol: number): void
  send(socket: SocketHandle, datagram: Uint8Array): void
  sendAside(socket: SocketHandle, datagram: Uint8Array): Promise<void>
  /** Bytes of the datagram, though more than `into` holds; -1: none yet. */
  receive(socket: SocketHandle, into: Uint8Array): number
  connect(socket: SocketHandle, host: string, port: number): void
  /** Returns the port. */
  bindInet(socket: SocketHandle, host: string, port: number): number
  /** Fills slots of so many bytes (datagrams.ts) with what has arrived, and returns how many. */
  receiveMany(socket: SocketHandle, slots: Uint8Array, slotBytes: number): number
  sendMany(socket: SocketHandle, slots: Uint8Array, slotBytes: number, count: number): void
  arm(socket: SocketHandle, events: number, callback: () => void): void
  detach(socket: SocketHandle): number
  close(socket: SocketHandle): void

  createNamespaces(
    net: string | undefined,
    ipc: string | undefined,
    uts: string | undefined,
    mnt: string | undefined,
    hostname: string | undefined,
    sysctls: string[],
  ): Promise<void>
  unpinNamespace(path: string): Promise<void>
  isPinned(path: string): boolean
  sysctl(netns: string | undefined, name: string): Promise<string>
  sysctl(netns: string | undefined, name: string, value: string): Promise<void>

  mount(source: string, target: string, type: string | undefined, flags: number, data?: string, mnt?: string): Promise<void>
  unmount(target: string, detach: 0 | 1, mnt?: string): Promise<void>
  setXattr(path: string, name: string, value: Uint8Array): void
  makeNode(path: string, mode: number, major: number, minor: number): void
  openBeneath(folder: number, path: string, flags: number): Promise<number>

  openPty(): { master: number; slave: string }
  setWindowSize(fd: number, columns: number, rows: number): void
}

export const addon = loadAddon() as Addon
addon.initialize((errno, syscall, detail) => new SysError(errno, syscall, detail))
