// The bytes of one write on disk: what happened to which key, at the revision that is its database key.
//
//   byte 0       1 put, 2 delete
//   bytes 1..8   create revision, big-endian
//   bytes 9..12  length of the key in bytes, big-endian
//   then         the key in UTF-8, then the value

export type StoredRecord = { type: 'put' | 'delete'; key: string; createRevision: number; value: Uint8Array }

const header = 13
const text = new TextDecoder()
const nothing = new Uint8Array(0)

export function encodeRecord(record: StoredRecord): Uint8Array {
  const keyBytes = Buffer.byteLength(record.key)
  const bytes = Buffer.allocUnsafe(header + keyBytes + record.value.length)
  bytes.writeUInt8(record.type === 'put' ? 1 : 2, 0)
  bytes.writeBigUInt64BE(BigInt(record.createRevision), 1)
  bytes.writeUInt32BE(keyBytes, 9)
  bytes.write(record.key, header, 'utf8')
  bytes.set(record.value, header + keyBytes)
  return bytes
}

/** The value is a view into `bytes`, not a copy. Throws RangeError where the bytes are no record. */
export function decodeRecord(bytes: Uint8Array): StoredRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const type = view.getUint8(0)
  const end = header + view.getUint32(9)
  if ((type !== 1 && type !== 2) || end > bytes.length) throw new RangeError(`a store record of ${bytes.length} bytes is not readable`)
  return {
    type: type === 1 ? 'put' : 'delete',
    key: text.decode(bytes.subarray(header, end)),
    createRevision: Number(view.getBigUint64(1)),
    value: end === bytes.length ? nothing : bytes.subarray(end),
  }
}
