// The end of an alias that leads out of the cluster: no stub resolver follows aliases itself, so the
// addresses are looked up and stand beside it.

import { type Answer, failureAnswer, headerSize, type Query, RCODE, recordAt, TYPE, typeAndClass } from './message.ts'
import type { Outside } from './outside.ts'
import { name, type Records } from './records.ts'

/** `records` so far, and the addresses of `outside`. */
export async function behindAlias(
  query: Query,
  { outside, records }: { outside: string; records: Records },
  elsewhere: Outside,
): Promise<Answer> {
  if (query.type !== TYPE.A && query.type !== TYPE.AAAA) return records.answer()
  const question = Buffer.concat([name(outside), query.question.subarray(-typeAndClass)])
  const found = await elsewhere.resolve({
    ...query,
    question,
    key: question.toString('latin1'),
    labels: outside.split('.'),
    edns: undefined,
  })
  if (found.rcode !== RCODE.ok && found.rcode !== RCODE.nameError) return failureAnswer(found.rcode)
  const message = Buffer.concat([Buffer.alloc(headerSize), question, found.body])
  let at = headerSize + question.length
  for (let index = 0; index < found.counts.answer; index++) {
    const record = recordAt(message, at)
    if (!record) break
    // Aliases on the way are left out: their names are compressed against another message.
    if (record.type === query.type) {
      records.add(record.type, message.readUInt32BE(record.ttl), message.subarray(record.data, record.end), { owner: outside })
    }
    at = record.end
  }
  return records.answer(found.rcode)
}
