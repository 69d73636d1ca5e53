// Sizes and bits that the writer and the reader share.

/** Bytes of a `struct nlmsghdr`. */
export const headerSize = 16
export const NLA_F_NESTED = 0x8000
/** Attributes and messages begin at multiples of four bytes. */
export const align = (length: number): number => (length + 3) & ~3
