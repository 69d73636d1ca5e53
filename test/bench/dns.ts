// The name server's answers from memory on one core, against unbound and dnsmasq with the same names on the
// same core, each asked by dnsperf from another.

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../cluster/shell.ts'
import { type Figure, figure, quantile } from './figure.ts'
import { compared } from './pairs.ts'

const names = 1_000
const rounds = 5
const ports = { ours: 10_053, unbound: 10_054, dnsmasq: 10_055 }
const serverCore = '0'
const clientCore = '1'
/** Far below what any of them can do: the time of one answer, not of a queue. */
const quietRate = '2000'

export async function* dnsBench(): AsyncGenerator<Figure> {
  await using stack = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'bench-dns-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const all = Array.from({ length: names }, (_, i) => ({ name: `s${i}.default.svc.cluster.local`, address: `10.43.${i >> 8}.${i & 255}` }))
  const queries = join(folder, 'queries')
  await writeFile(queries, all.map(({ name }) => `${name} A\n`).join(''))
  await unbound(stack, folder, all)
  await dnsmasq(stack, folder, all)
  await ours(stack)
  await sleep(500) // they do not say when they listen

  const flood = (port: number) => async () =>
    Number(match(/Queries per second:\s+([\d.]+)/, await dnsperf(port, queries, '-l', '1', '-c', '20', '-q', '200')))
  for (const reference of ['unbound', 'dnsmasq'] as const) {
    yield await compared('DNS, answers from memory on one core', '1/s', {
      way: flood(ports.ours),
      reference: flood(ports[reference]),
      referenceName: reference,
      rounds,
    })
  }
  const slowest = async (port: number) => {
    const text = await dnsperf(port, queries, '-l', '2', '-c', '5', '-Q', quietRate, '-v')
    return quantile(
      [...text.matchAll(/^> NOERROR \S+ A ([\d.]+)$/gm)].map(([, seconds]) => Number(seconds) * 1000),
      0.99,
    )
  }
  for (const reference of ['unbound', 'dnsmasq'] as const) {
    const value = await slowest(ports[reference])
    yield figure(`DNS, p99 at ${quietRate} a second`, await slowest(ports.ours), 'ms', { name: reference, value })
  }
}

const dnsperf = (port: number, queries: string, ...more: string[]): Promise<string> =>
  run('taskset', '-c', clientCore, 'dnsperf', '-s', '127.0.0.1', '-p', String(port), '-d', queries, '-T', '1', ...more)

const match = (pattern: RegExp, text: string): string => {
  const found = pattern.exec(text)?.[1]
  if (found === undefined || !/Queries lost:\s+\d+ \((0|1)\./.test(text)) throw new Error(`dnsperf: ${text}`)
  return found
}

const ours = async (stack: AsyncDisposableStack): Promise<void> => {
  const child = fork(join(import.meta.dirname, 'dns-server.ts'), [String(names), String(ports.ours)], {
    execPath: 'taskset',
    execArgv: ['-c', serverCore, process.execPath, '--max-semi-space-size=2'],
  })
  const ended = once(child, 'exit')
  stack.defer(async () => {
    if (child.connected) child.disconnect()
    await ended
  })
  await Promise.race([once(child, 'message'), ended.then(() => Promise.reject(new Error('the name server ended')))])
}

type Names = readonly { name: string; address: string }[]

const unbound = async (stack: AsyncDisposableStack, folder: string, all: Names): Promise<void> => {
  const config = join(folder, 'unbound.conf')
  await writeFile(
    config,
    `server:
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  interface: 127.0.0.1
  port: ${ports.unbound}
  num-threads: 1
  local-zone: "cluster.local." static
${all.map(({ name, address }) => `  local-data: "${name}. 5 IN A ${address}"`).join('\n')}
remote-control:
  control-enable: no
`,
  )
  start(stack, 'unbound', '-d', '-c', config)
}

const dnsmasq = async (stack: AsyncDisposableStack, folder: string, all: Names): Promise<void> => {
  const hosts = join(folder, 'hosts')
  await writeFile(hosts, all.map(({ name, address }) => `${address} ${name}\n`).join(''))
  const fixed = ['--keep-in-foreground', '--no-resolv', '--no-hosts', '--no-daemon', '--bind-interfaces', '--conf-file=/dev/null']
  start(
    stack,
    'dnsmasq',
    ...fixed,
    '--listen-address=127.0.0.1',
    `--port=${ports.dnsmasq}`,
    `--addn-hosts=${hosts}`,
    '--local-ttl=5',
    '--user=root',
  )
}

const start = (stack: AsyncDisposableStack, ...command: string[]): void => {
  const child: ChildProcess = spawn('taskset', ['-c', serverCore, ...command], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  stack.defer(async () => {
    child.kill()
    await ended
  })
}
