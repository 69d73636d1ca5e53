// The hash of nf_tables' `jhash`: Bob Jenkins' lookup3 as the kernel has it (include/linux/jhash.h), scaled
// below a modulus as nft_hash does. For what rules have written under a hash of something that is known here.

const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by))

export const jhash = (bytes: Uint8Array, seed: number, modulus: number): number => {
  const words = new Uint32Array(Math.ceil(bytes.length / 12) * 3)
  new Uint8Array(words.buffer).set(bytes)
  let a = (0xdeadbeef + bytes.length + seed) | 0
  let [b, c] = [a, a]
  const blocks = words.length / 3
  for (let block = 0; block < blocks; block++) {
    a = (a + (words[block * 3] as number)) | 0
    b = (b + (words[block * 3 + 1] as number)) | 0
    c = (c + (words[block * 3 + 2] as number)) | 0
    if (block === blocks - 1) break
    ;[a, c] = [(a - c) ^ rotated(c, 4), (c + b) | 0]
    ;[b, a] = [(b - a) ^ rotated(a, 6), (a + c) | 0]
    ;[c, b] = [(c - b) ^ rotated(b, 8), (b + a) | 0]
    ;[a, c] = [(a - c) ^ rotated(c, 16), (c + b) | 0]
    ;[b, a] = [(b - a) ^ rotated(a, 19), (a + c) | 0]
    ;[c, b] = [(c - b) ^ rotated(b, 4), (b + a) | 0]
  }
  c = ((c ^ b) - rotated(b, 14)) | 0
  a = ((a ^ c) - rotated(c, 11)) | 0
  b = ((b ^ a) - rotated(a, 25)) | 0
  c = ((c ^ b) - rotated(b, 16)) | 0
  a = ((a ^ c) - rotated(c, 4)) | 0
  b = ((b ^ a) - rotated(a, 14)) | 0
  c = ((c ^ b) - rotated(b, 24)) | 0
  return Number((BigInt(c >>> 0) * BigInt(modulus)) >> 32n)
}
