// A real server over a store in memory, and the kubectls of this machine to talk to it.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Namespace, ServiceAccount } from '#api/kinds/index.ts'
import type { Pki } from '#control/pki/pki.ts'
import type { Server } from '../server.ts'
import { live } from './live.fake.ts'

const execute = promisify(execFile)

/** `kubectl` itself, or the oldest and newest of several `kubectl.1.x` beside it. */
async function kubectls(): Promise<string[]> {
  for (const dir of (process.env.PATH ?? '').split(':')) {
    const found = await realpath(join(dir, 'kubectl')).catch(() => undefined)
    if (!found) continue
    const minor = (file: string) => Number(file.split('.')[2])
    const several = (await readdir(dirname(found))).filter((f) => /^kubectl\.1\.\d+$/.test(f)).sort((a, b) => minor(a) - minor(b))
    const chosen = [...new Set([several[0], several.at(-1)])].filter((f) => f !== undefined)
    return chosen.length > 0 ? chosen.map((f) => join(dirname(found), f)) : [found]
  }
  return []
}

export const found: readonly string[] = await kubectls()

export type Kubectl = {
  program: string
  env: NodeJS.ProcessEnv
  namespace: string
  /** In its namespace; resolves to what it prints. */
  run(...args: string[]): Promise<string>
  /** Of a call that must fail: what it says. */
  fails(...args: string[]): Promise<string>
}

export type KubectlServer = {
  server: Server
  pki: Pki
  /** Where kubectl runs. */
  dir: string
  /** In a new namespace with its service account. */
  kubectl(program: string, namespace: string): Promise<Kubectl>
  close(): Promise<void>
}

/** `files`: manifests that the tests name, by file name. */
export async function kubectlServer(files: Readonly<Record<string, string>>): Promise<KubectlServer> {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-kubectl-'))
  const running = await live()
  const { server, pki } = running
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const cluster = { server: `https://127.0.0.1:${server.port}`, 'certificate-authority-data': base64(pki.authority.cert) }
  const user = { 'client-certificate-data': base64(pki.admin.cert), 'client-key-data': base64(pki.admin.key) }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user }],
  }
  await writeFile(join(dir, 'kubeconfig'), JSON.stringify(config))
  for (const [name, text] of Object.entries(files)) await writeFile(join(dir, name), text)
  return {
    server,
    pki,
    dir,
    async kubectl(program, namespace) {
      const env = { ...process.env, KUBECONFIG: join(dir, 'kubeconfig'), HOME: join(dir, namespace) }
      const client = server.client()
      await client.create(Namespace, { metadata: { name: namespace } })
      await client.create(ServiceAccount, { metadata: { namespace, name: 'default' } })
      const run = async (...args: string[]) => (await execute(program, ['-n', namespace, ...args], { env, cwd: dir })).stdout
      return {
        program,
        env,
        namespace,
        run,
        async fails(...args) {
          const error = await run(...args).then(
            () => assert.fail(`kubectl ${args.join(' ')} should fail`),
            (e: { stderr: string }) => e,
          )
          return error.stderr
        },
      }
    },
    async close() {
      await running[Symbol.asyncDispose]()
      await rm(dir, { recursive: true })
    },
  }
}
