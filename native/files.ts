// The few file operations that Node lacks.

import { addon } from './addon.ts'

const utf8 = new TextEncoder()
const S_IFCHR = 0o020000

/** Sets an extended attribute on the path itself (a symlink is not followed), e.g. `trusted.overlay.opaque` = `y`. */
export const setXattr = (path: string, name: string, value: string | Uint8Array): void =>
  addon.setXattr(path, name, typeof value === 'string' ? utf8.encode(value) : value)

/** mknod(2). `mode` holds the type bits (S_IFCHR 0o020000, S_IFBLK 0o060000, S_IFIFO 0o010000) and permissions. */
export const makeNode = (path: string, mode: number, device: { major: number; minor: number } = { major: 0, minor: 0 }): void =>
  addon.makeNode(path, mode, device.major, device.minor)

/** What overlayfs takes for a deleted file: a character device 0/0. */
export const makeWhiteout = (path: string): void => makeNode(path, S_IFCHR)

/**
 * openat2(2), Linux 5.6: a descriptor, the caller's to close, of what is at `path` below the open folder. The lookup is one
 * step for everybody else: a path, or a link in it, that leads out fails with EXDEV, whatever changes meanwhile (EAGAIN: too
 * much did). `flags` as for open(2), none that create.
 */
export const openBeneath = (folder: number, path: string, flags: number): Promise<number> => addon.openBeneath(folder, path, flags)
