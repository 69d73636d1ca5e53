// Pseudo-terminals: the caller owns the master's descriptor and closes it.

import { addon } from './addon.ts'

/** A new terminal: the master's descriptor and the path that the terminal's user opens. */
export const openPty = (): { master: number; slave: string } => addon.openPty()

/** TIOCSWINSZ on either end; whoever runs in the terminal gets SIGWINCH. */
export const setWindowSize = (fd: number, size: { width: number; height: number }): void => addon.setWindowSize(fd, size.width, size.height)
