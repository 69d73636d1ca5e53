// Debian's docker-registry as a server of images for tests: plain, or with TLS and a password.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../cluster/shell.ts'

export type Registry = { host: string /** PEM file of the authority, with TLS. */; ca: string; [Symbol.asyncDispose](): Promise<void> }

/** `password` is that of user `edge`; with it comes TLS. */
export async function startRegistry({ address, port, password }: { address: string; port: number; password?: string }): Promise<Registry> {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-registry-'))
  const ca = join(dir, 'ca.crt')
  let secure = ''
  if (password) {
    // One self-made certificate is authority and server in one.
    await run(
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      '/CN=registry',
      '-addext',
      `subjectAltName=IP:${address}`,
      '-keyout',
      join(dir, 'key'),
      '-out',
      ca,
    )
    const line = spawnSync('htpasswd', ['-nbB', 'edge', password], { encoding: 'utf8' })
    if (line.status !== 0) throw new Error(`htpasswd: ${line.stderr}`)
    await writeFile(join(dir, 'htpasswd'), line.stdout)
    secure = `  tls: { certificate: ${ca}, key: ${join(dir, 'key')} }\nauth: { htpasswd: { realm: test, path: ${join(dir, 'htpasswd')} } }\n`
  }
  await writeFile(
    join(dir, 'config.yml'),
    `version: 0.1\nlog: { level: error, accesslog: { disabled: true } }\nstorage: { filesystem: { rootdirectory: ${dir}/data } }\nhttp:\n  addr: ${address}:${port}\n${secure}`,
  )
  const server = spawn('docker-registry', ['serve', join(dir, 'config.yml')], { stdio: 'ignore' })
  await once(server, 'spawn')
  const registry = {
    host: `${address}:${port}`,
    ca,
    async [Symbol.asyncDispose]() {
      if (server.exitCode === null) {
        server.kill()
        await once(server, 'exit')
      }
      await rm(dir, { recursive: true })
    },
  }
  const scheme = password ? 'https' : 'http'
  for (let tries = 0; ; tries += 1) {
    const { status } = spawnSync('curl', ['-sk', '-o', '/dev/null', `${scheme}://${address}:${port}/v2/`])
    if (status === 0) return registry
    if (tries === 100 || server.exitCode !== null) {
      await registry[Symbol.asyncDispose]()
      throw new Error('docker-registry did not start')
    }
    await sleep(50)
  }
}
