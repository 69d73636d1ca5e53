// `make bench [BENCH=name]`: prints a table and writes .coracle/bench.json.

import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Figure } from './figure.ts'

const benches: Record<string, () => Promise<AsyncIterable<Figure>>> = {
  up: async () => (await import('./up.ts')).upBench(),
  'pod-start': async () => (await import('./pod-start.ts')).podStartBench(),
  reboot: async () => (await import('./reboot.ts')).rebootBench(),
  memory: async () => (await import('./memory.ts')).memoryBench(),
  api: async () => (await import('./api.ts')).apiBench(),
  scale: async () => (await import('./scale.ts')).scaleBench(),
  proxy: async () => (await import('./proxy.ts')).proxyBench(),
  'endpoint-change': async () => (await import('./endpoint-change.ts')).endpointChangeBench(),
  'service-traffic': async () => (await import('./service-traffic.ts')).serviceTrafficBench(),
  'pod-network': async () => (await import('./pod-network.ts')).podNetworkBench(),
  dns: async () => (await import('./dns.ts')).dnsBench(),
  policy: async () => (await import('./policy.ts')).policyBench(),
  scheduler: async () => (await import('./scheduler.ts')).schedulerBench(),
  soak: async () => (await import('./soak.ts')).soakBench(),
}
/** Only by their names. */
const long = ['soak']

const wanted = process.argv[2]
if (wanted && !benches[wanted]) {
  console.error(`make bench: there is no bench ${JSON.stringify(wanted)}; there are ${Object.keys(benches).join(', ')}`)
  process.exit(1)
}

const figures: Figure[] = []
for (const [name, open] of Object.entries(benches)) {
  if (wanted ? name !== wanted : long.includes(name)) continue
  for await (const figure of await open()) {
    figures.push(figure)
    console.log(row(figure))
  }
}
const state = resolve(import.meta.dirname, '../../.coracle')
await mkdir(state, { recursive: true })
await writeFile(join(state, 'bench.json'), `${JSON.stringify(figures.map(flat), null, 2)}\n`)

function row({ name, value, unit, reference, ratio }: Figure): string {
  const against = reference ? `${format(reference.value)} ${unit} (${reference.name})` : ''
  return `${name.padEnd(52)} ${format(value).padStart(10)} ${unit.padEnd(6)} ${against.padEnd(48)} ${ratio === undefined ? '' : `× ${ratio.toFixed(2)}`}`
}

/** The file's form: `[{name, value, unit, reference, ratio}]`, the reference as its value. */
function flat({ name, value, unit, reference, ratio }: Figure) {
  return { name, value, unit, reference: reference?.value ?? null, referenceName: reference?.name ?? null, ratio: ratio ?? null }
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
