// What the record has cost: flash wears out, so every byte of it is counted.

import { Counter, type Registry } from 'prom-client'
import type { AgentRecord } from './record.ts'

export function exportWrites({ written }: Pick<AgentRecord, 'written'>, registry: Registry): void {
  const counter = (name: string, help: string, value: () => number) =>
    new Counter({
      name,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(value())
      },
    })
  counter('coracle_record_written_bytes_total', 'Bytes that the record of what the node knows wrote to the disk.', () => written.bytes)
  counter('coracle_record_written_files_total', 'Files of the record that were written.', () => written.files)
}
