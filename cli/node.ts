// `coracle node`: this machine itself, with or without an agent that runs on it.

import { askHardware } from '#agent/hardware/ask.ts'
import type { Disk } from '#agent/hardware/disks.ts'
import type { Inventory } from '#agent/hardware/inventory.ts'
import { readSupply, type Supply } from '#agent/hardware/raspberry-pi.ts'

export async function printInfo({ output }: { output: 'table' | 'json' }): Promise<void> {
  const [inventory, supply] = await Promise.all([askHardware(), readSupply()])
  console.log(output === 'json' ? JSON.stringify({ ...inventory, supply }, null, 2) : infoTable(inventory, supply))
}

/** A line for each thing; what a machine does not tell has none. */
export function infoTable(
  { board, cpu, memoryBytes, os, disks, temperatures, links, virtualization }: Inventory,
  supply: Supply | undefined,
): string {
  const rows: [string, string][] = [
    ['Board', words(board.manufacturer, board.model, board.revision && `revision ${board.revision}`)],
    ['Virtualization', virtualization],
    ['CPU', words(cpu.vendor, cpu.model, `${cpu.cores} cores, ${cpu.threads} threads`)],
    ['Memory', `${(memoryBytes / 2 ** 20).toFixed(0)} MiB`],
    ['System', words(os.id, os.version, `kernel ${os.kernel}`)],
    ...disks.map((disk): [string, string] => [`Disk ${disk.name}`, about(disk)]),
    ...links.map(({ name, type, mac, mbits }): [string, string] => [`Link ${name}`, words(type, mac, mbits && `${mbits} Mbit/s`)]),
    ...Object.entries(temperatures).map(([sensor, degrees]): [string, string] => [`Temperature ${sensor}`, `${degrees.toFixed(1)} °C`]),
    ['Supply', supply ? (supply.undervoltage ? 'voltage too low' : supply.throttled ? 'processor slowed down' : 'sufficient') : ''],
  ]
  const shown = rows.filter(([, value]) => value !== '')
  const width = Math.max(...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}   ${value}`).join('\n')
}

const about = ({ medium, model, bytes, wornPercent, health }: Disk): string =>
  words(
    medium,
    model,
    `${(bytes / 1e9).toFixed(1)} GB`,
    wornPercent !== undefined && `${wornPercent} % of its rated life used`,
    health && `health ${health}`,
  )

const words = (...all: (string | number | false | undefined)[]): string => all.filter(Boolean).join(', ')
