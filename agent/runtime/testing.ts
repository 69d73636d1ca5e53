// A runtime of its own for a test: a temporary folder, a cgroup parent, and a root from Debian's
// static busybox. Everything is gone when the test ends, and the test fails if it is not.

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { mounts } from 'nft-js'
import { systemClock } from '#api/clock.ts'
import { silent } from '#api/log.ts'
import { openCgroups } from './cgroups.ts'
import { openRuntime, type RuntimeOptions } from './containers.ts'
import type { ContainerSpec, ContainerState, Runtime } from './runtime.ts'

const applets = [
  'sh',
  'cat',
  'echo',
  'sleep',
  'stty',
  'id',
  'kill',
  'tail',
  'dd',
  'env',
  'pwd',
  'true',
  'false',
  'test',
  'mount',
  'ls',
  'yes',
  'head',
  'nc',
]

/** Why such tests cannot run here, or false. */
export const needsContainers: string | false =
  process.getuid?.() !== 0 || !['/usr/sbin/runc', '/usr/bin/conmon', '/bin/busybox'].every(existsSync)
    ? 'needs root, runc, conmon and busybox'
    : false

export async function testRuntime(t: TestContext, options: Partial<RuntimeOptions> = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'coracle-run-'))
  const parent = `/coracle-test-${basename(dir)}`
  const cgroups = await openCgroups({ parent })
  await cgroups.create('', {})
  const layer = join(dir, 'layer')
  for (const path of ['bin', 'etc', 'tmp', 'data']) mkdirSync(join(layer, path), { recursive: true })
  copyFileSync('/bin/busybox', join(layer, 'bin/busybox'))
  for (const name of applets) symlinkSync('busybox', join(layer, 'bin', name))
  writeFileSync(join(layer, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:web:/home/web:/bin/sh\n')
  writeFileSync(join(layer, 'etc/group'), 'root:x:0:\nweb:x:1001:\nextra:x:2000:web\n')

  const opened: Runtime[] = []
  const open = async () => {
    const runtime = await openRuntime({ dir: join(dir, 'containers'), cgroups, mounts, clock: systemClock, log: silent, ...options })
    opened.push(runtime)
    return runtime
  }
  t.after(async () => {
    for (const runtime of opened) await runtime.close()
    const last = await openRuntime({ dir: join(dir, 'containers'), cgroups, mounts, clock: systemClock, log: silent })
    for (const { id } of await last.list()) {
      await last.stop(id, { graceSeconds: 0 })
      await last.remove(id)
    }
    await last.close()
    await cgroups.remove('')
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(dir), 'a mount is left')
    assert.ok(!readFileSync('/proc/self/cgroup', 'utf8').includes(parent), 'a cgroup is left')
    rmSync(dir, { recursive: true })
  })

  let count = 0
  const spec = (change: Partial<ContainerSpec> & { command?: string } = {}): ContainerSpec => {
    const { command = 'sleep 1000', ...rest } = change
    const id = `c${++count}`
    return {
      id,
      pod: { namespace: 'default', name: 'p', uid: 'u' },
      name: 'main',
      attempt: 0,
      layers: [layer],
      args: ['sh', '-c', command],
      env: [],
      cwd: '/',
      user: '0',
      namespaces: { pid: 'new' },
      mounts: [],
      cgroup: `pods/pod1/${id}`,
      resources: {},
      readOnlyRoot: false,
      privileged: false,
      capabilities: { add: [], drop: [] },
      noNewPrivileges: false,
      oomScoreAdj: 0,
      tty: false,
      stdin: false,
      stdinOnce: false,
      logPath: join(dir, 'logs', id, '0.log'),
      ...rest,
    }
  }
  return { dir, layer, cgroups, runtime: await open(), open, spec }
}

/** The container's final state. */
export function exitOf(runtime: Runtime, id: string): Promise<ContainerState> {
  return new Promise((resolve, reject) => {
    const look = (state: ContainerState | undefined) => {
      if (state?.id !== id || state.phase !== 'exited') return
      off()
      resolve(state)
    }
    const off = runtime.onExit(look)
    runtime.state(id).then(look, reject)
  })
}

/** Runs a command and resolves with what it wrote. */
export async function run(runtime: Runtime, id: string, args: string[], input?: string) {
  const [stdout, stderr, stdin] = [new PassThrough(), new PassThrough(), input === undefined ? undefined : new PassThrough()]
  stdin?.end(input)
  const [out, err] = [text(stdout), text(stderr)]
  const code = await runtime.exec(id, { args, tty: false, stdin, stdout, stderr }).finally(() => {
    stdout.end()
    stderr.end()
  })
  return { code, out: await out, err: await err }
}
