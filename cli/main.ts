// The `coracle` command. Each subcommand is a file that is loaded only when it runs.

import { isIP } from 'node:net'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type Cidr, parseCidrs } from '#api/cidr.ts'

const program = new Command('coracle')
  .description('Kubernetes for bare-metal edge devices')
  .version('0.1.0')
  .configureHelp({ sortSubcommands: true })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))

const port = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 65_535) throw new InvalidArgumentError('a port is a number from 1 to 65535')
  return value
}
/** One range of addresses, or one of each family; how large they may be is the concern of who cuts them up. */
const cidrs = (text: string): Cidr[] => {
  const ranges = parseCidrs(text)
  if (!ranges) throw new InvalidArgumentError('a range looks like 10.42.0.0/16, and a dual-stack one like 10.42.0.0/16,fd42::/56')
  return ranges
}
const podCidrs = (text: string): Cidr[] => {
  const ranges = cidrs(text)
  for (const { text, prefix, family } of ranges)
    if (prefix < 8 || prefix > (family === 'IPv4' ? 30 : 126))
      throw new InvalidArgumentError(`${text} is no range to cut one for each node out of`)
  return ranges
}
/** As large as kube-apiserver takes them. */
const serviceCidrs = (text: string): Cidr[] => {
  const ranges = cidrs(text)
  for (const { text, prefix, family } of ranges) {
    const [most, least] = family === 'IPv4' ? [8, 30] : [108, 126]
    if (prefix < most || prefix > least)
      throw new InvalidArgumentError(`${text}: an ${family} range of services is one from /${most} to /${least}`)
  }
  return ranges
}
const prefixLength =
  (most: number) =>
  (text: string): number => {
    const value = Number(text)
    if (!/^\d+$/.test(text) || value < 8 || value > most)
      throw new InvalidArgumentError(`the length of a prefix is a number from 8 to ${most}`)
    return value
  }
/** One address, or one of each family. */
const addresses = (text: string): string[] => {
  const all = text.split(',').map((each) => each.trim())
  if (all.some((each) => isIP(each) === 0) || new Set(all.map(isIP)).size < all.length)
    throw new InvalidArgumentError('an IP address is needed, or one IPv4 and one IPv6 address with a comma between them')
  return all
}
const address = (text: string): string => {
  if (isIP(text) === 0) throw new InvalidArgumentError('an IP address is needed')
  return text
}
const units = { s: 1, m: 60, h: 3600, d: 86_400 }
/** In seconds. */
const duration = (text: string): number => {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (text === '0') return 0
  if (!number || Number(number) === 0) throw new InvalidArgumentError('a duration looks like 30m, 24h or 7d')
  return Number(number) * units[unit as keyof typeof units]
}
const serverUrl = (text: string): string => {
  if (!URL.canParse(text) || new URL(text).protocol !== 'https:') throw new InvalidArgumentError('a server looks like https://host:6443')
  return text
}
const pidsLimit = (text: string): number => {
  const value = Number(text)
  if (value !== -1 && !(Number.isSafeInteger(value) && value > 0)) throw new InvalidArgumentError('a whole number above 0, or -1')
  return value
}
const lineCount = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a number of lines')
  return Number(text)
}
const serverDir = ['--data-dir <dir>', "the server's folder", '/var/lib/coracle/server'] as const
const agentDir = ['--data-dir <dir>', "the agent's folder", '/var/lib/coracle/agent'] as const
const logLevel = ['--log-level <level>', 'debug, info, warn or error', 'info'] as const
const ranges = (command: Command): Command =>
  command
    .option('--cluster-cidr <ranges>', 'addresses of pods: one range, or one of each family (default: 10.42.0.0/16)', podCidrs)
    .option('--service-cidr <ranges>', 'addresses of services, likewise (default: 10.43.0.0/16)', serviceCidrs)
    .option('--cluster-dns <addresses>', 'where pods ask for names; by default the tenth of each range of services', addresses)
    .option('--cluster-domain <domain>', 'the domain of services', 'cluster.local')

ranges(program.command('server').description('run the control plane: API server, scheduler, controllers'))
  .option(...serverDir)
  .option('--listen <address>', 'address to listen on', '::')
  .option('--port <port>', 'port to listen on', port, 6443)
  .option('--advertise-address <address>', 'where agents and pods reach this server; by default its first address', address)
  .option('--node-cidr-mask-size-ipv4 <length>', 'prefix of the IPv4 range that each node gets for its pods', prefixLength(30), 24)
  .option('--node-cidr-mask-size-ipv6 <length>', 'and of the IPv6 range', prefixLength(126), 64)
  .option('--scheduler-config <file>', 'a KubeSchedulerConfiguration: profiles, their plugins, weights and arguments')
  .option('--tls-san <host...>', 'further names and addresses of this server, for its certificate', [])
  .option(...logLevel)
  .action(async (options) => (await import('./server.ts')).runServer(options))

ranges(program.command('agent').description('run the node agent: containers, network, services, names'))
  .option(...agentDir)
  .option('--server <url>', "the server's address, https://host:6443", serverUrl)
  .option('--token <token>', 'join token, needed the first time', process.env['CORACLE_TOKEN'])
  .option('--token-file <file>', 'file that holds the join token')
  .option('--node-name <name>', 'name of this node; by default the host name')
  .option(
    '--node-ip <addresses>',
    'address of this node, or one of each family; by default its first ones, followed when they change',
    addresses,
  )
  .option('--cgroup-parent <path>', "cgroup under which all containers are; by default /coracle, for another folder one of the agent's own")
  .option('--runtime <program>', 'runc or crun', 'runc')
  .option('--network-mode <mode>', 'auto, vxlan, host-gw or routed', 'auto')
  .option('--proxy-mode <mode>', 'auto, nftables or iptables: what programs services', 'auto')
  .option('--no-flowtable', 'no fast path for forwarded connections, also where the kernel has it')
  .option(
    '--cni-conf-dir <folder>',
    'network configurations of CNI, e.g. /etc/cni/net.d: their plugins make the pod network, in place of our own',
  )
  .option('--cni-bin-dir <folders>', 'where CNI plugins are, separated by commas', '/opt/cni/bin,/usr/lib/cni')
  .option('--no-seccomp-default', 'no system call filter for containers that do not ask for one')
  .option('--pod-max-pids <count>', 'processes and threads that one pod may have; -1: any number', pidsLimit, 4096)
  .option('--allowed-unsafe-sysctls <names>', 'sysctls that pods may set beside the safe ones: names, or prefixes that end in *', '')
  .option('--agent-port <port>', "port of the agent's own endpoint", port, 10_250)
  .option('--registries <file>', 'mirrors, credentials and authorities of image registries')
  .option('--cleanup', 'stop all containers, remove everything that the agent made on this host, and exit')
  .option(...logLevel)
  .action(async (options) => (await import('./agent.ts')).runAgent(options))

const token = program.command('token').description('tokens with which agents join; without a word it makes one')
token
  .command('create', { isDefault: true })
  .description('make one and print it')
  .option('--ttl <duration>', 'how long it is good for, e.g. 30m, 24h or 7d; 0 for ever', duration, 86_400)
  .option('--node <name>', 'for this node alone, also where the cluster has it already')
  .option('--description <text>', 'what it is for')
  .option(...serverDir)
  .action(async ({ ttl, ...options }) => (await import('./token.ts')).createToken({ ...options, ttlSeconds: ttl }))
token
  .command('list')
  .description('list them, without their secrets')
  .option(...serverDir)
  .action(async (options) => (await import('./token.ts')).listTokens(options))
token
  .command('delete <id>')
  .description('revoke one')
  .option(...serverDir)
  .action(async (id, options) => (await import('./token.ts')).deleteToken(id, options))

const revoke = program.command('revoke').description('certificates that count no more before their time is over')
for (const [by, words] of [
  ['serial', 'the one with this serial number, as openssl prints it'],
  ['name', 'all with this common name, and no new one is given out for it'],
] as const)
  revoke
    .command(`${by} <${by === 'serial' ? 'number' : 'name'}>`)
    .description(words)
    .option('--undo', 'let it count again')
    .option(...serverDir)
    .action(async (text, { undo, ...options }) => {
      const { revoke, restore } = await import('./revoke.ts')
      await (undo ? restore : revoke)(by, text, options)
    })
revoke
  .command('list')
  .description('list them')
  .option(...serverDir)
  .action(async (options) => (await import('./revoke.ts')).listRevoked(options))

const certs = program.command('certs').description('certificates of the server and the agent of this host')
const certsDir = ['--data-dir <dir>', "the server's or the agent's folder; by default the usual ones of both"] as const
certs
  .command('list', { isDefault: true })
  .description('list them, and when they end')
  .option(...certsDir)
  .action(async (options) => (await import('./certs.ts')).listCertificates(options))
certs
  .command('renew')
  .description('replace all but the authorities, while everything runs')
  .option(...certsDir)
  .action(async (options) => (await import('./certs.ts')).renewCertificates(options))

program
  .command('kubeconfig')
  .description("print the administrator's kubeconfig")
  .option(...serverDir)
  .option('--server <url>', 'address to write into it', serverUrl, 'https://127.0.0.1:6443')
  .action(async (options) => (await import('./access.ts')).printKubeconfig(options))

const image = program.command('image').description('images of this node')
image
  .command('import <file>')
  .description('add the images of an OCI or docker archive')
  .option('--name <reference>', 'name for an archive whose image has none')
  .option(...agentDir)
  .action(async (file, options) => (await import('./image.ts')).importImage(file, options))
image
  .command('list')
  .description('list them')
  .option(...agentDir)
  .action(async (options) => (await import('./image.ts')).listImages(options))
image
  .command('pull <reference>')
  .description('fetch one from its registry')
  .option('--registries <file>', 'mirrors, credentials and authorities of image registries')
  .option('--username <name>', 'credentials')
  .option('--password-stdin', 'read the password from standard input')
  .option(...agentDir)
  .action(async (reference, options) => (await import('./image.ts')).pullImage(reference, options))
image
  .command('remove <reference>')
  .description('remove a name, and what nothing else needs')
  .option(...agentDir)
  .action(async (reference, options) => (await import('./image.ts')).removeImage(reference, options))

const node = program.command('node').description('this machine as a node')
node
  .command('info')
  .description('what it is made of: board, processor, memory, disks and how worn they are, temperatures')
  .addOption(new Option('-o, --output <form>', 'how it is printed').choices(['table', 'json']).default('table'))
  .action(async (options) => (await import('./node.ts')).printInfo(options))
const namespace = ['-n, --namespace <name>', 'of the pod', 'default'] as const
node
  .command('pods')
  .description('the pods that run here, by the account of the agent: also while the cluster cannot be reached')
  .option('-n, --namespace <name>', 'of this namespace alone')
  .addOption(new Option('-o, --output <form>', 'how it is printed').choices(['table', 'json']).default('table'))
  .option(...agentDir)
  .action(async (options) => (await import('./node-pods.ts')).printPods(options))
node
  .command('logs <pod>')
  .description('the log of a container of a pod that runs here')
  .option(...namespace)
  .option('-c, --container <name>', "by default the pod's first")
  .option('-f, --follow', 'go on as it is written')
  .option('-p, --previous', 'of the container before the present one')
  .option('--timestamps', 'begin each line with its time')
  .option('--tail <lines>', 'begin with the last of them', lineCount)
  .option(...agentDir)
  .action(async (pod, options) => (await import('./node-pods.ts')).printLogs(pod, options))
node
  .command('exec <pod> <command...>')
  .description('run a command in a container of a pod that runs here; `--` goes before a command with options')
  .option(...namespace)
  .option('-c, --container <name>', "by default the pod's first")
  .option('-i, --stdin', 'hand standard input on')
  .option('-t, --tty', 'with a terminal')
  .option(...agentDir)
  .action(async (pod, command, options) => process.exit(await (await import('./node-exec.ts')).execCommand(pod, command, options)))

program
  .command('decode <file>')
  .description('print a protobuf-encoded Kubernetes object as JSON')
  .action(async (file) => (await import('./decode.ts')).decodeFile(file))

try {
  await program.parseAsync()
} catch (error) {
  for (const cause of causesOf(error)) console.error(`coracle: ${cause instanceof Error ? cause.message : String(cause)}`)
  // Not `exitCode`: what did not start whole must not linger.
  process.exit(1)
}

/** What went wrong first, then what went wrong while that was cleaned up. */
function causesOf(error: unknown): unknown[] {
  if (error instanceof SuppressedError) return [...causesOf(error.suppressed), ...causesOf(error.error)]
  return error instanceof AggregateError ? error.errors.flatMap(causesOf) : [error]
}
