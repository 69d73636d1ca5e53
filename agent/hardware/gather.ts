// A program of its own, run by `ask.ts`: asks systeminformation and the kernel what this machine is, prints it as JSON, and
// ends. So nothing of the library stays in the agent's memory.

import { readdir, readFile } from 'node:fs/promises'
import { setPriority } from 'node:os'
import { parseEnv } from 'node:util'
import { cpu, mem, networkInterfaces, osInfo, system } from 'systeminformation'
import { readDisks } from './disks.ts'
import { inventoryOf } from './inventory.ts'

// Pods go first.
setPriority(10)

const say = async (path: string) => (await readFile(path, 'utf8').catch(() => '')).replaceAll('\0', '').trim()

/** Degrees by sensor (kernel Documentation/driver-api/thermal/sysfs-api.rst: thousandths). */
async function readTemperatures(root = '/sys/class/thermal'): Promise<Record<string, number>> {
  const zones = (await readdir(root).catch(() => [])).filter((name) => name.startsWith('thermal_zone'))
  const read = zones.map(async (zone) => [await say(`${root}/${zone}/type`), await say(`${root}/${zone}/temp`)] as const)
  return Object.fromEntries((await Promise.all(read)).flatMap(([type, temp]) => (type && temp ? [[type, Number(temp) / 1000]] : [])))
}

const [saidSystem, saidCpu, saidMem, saidOs, saidLinks] = await Promise.all([system(), cpu(), mem(), osInfo(), networkInterfaces()])
const said = {
  system: saidSystem,
  cpu: saidCpu,
  mem: saidMem,
  osInfo: saidOs,
  networkInterfaces: [saidLinks].flat(),
}
const read = {
  bootID: await say('/proc/sys/kernel/random/boot_id'),
  os: parseEnv((await say('/etc/os-release')) || (await say('/usr/lib/os-release'))),
  deviceTreeModel: await say('/proc/device-tree/model'),
  disks: await readDisks(),
  temperatures: await readTemperatures(),
}
process.stdout.write(JSON.stringify(inventoryOf(said, read)))
