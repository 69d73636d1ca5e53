import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { fakeClock } from '#api/clock.fake.ts'
import { readLogs } from './logs/read.ts'
import { runsWith } from './process.ts'
import { exitOf, needsContainers, run, testRuntime } from './testing.ts'

const options = { skip: needsContainers }
const logOf = async (path: string): Promise<string> => Buffer.concat(await Array.fromAsync(readLogs(path))).toString()

test('a container runs, writes its log, and its exit code and end are kept', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const container = spec({ command: 'echo out; echo err >&2; exit 3' })
  const exit = exitOf(runtime, container.id)
  const started = await runtime.start(container)
  assert.ok(started.pid! > 1)
  assert.ok(Date.parse(started.startedAt!) <= Date.now())
  const state = await exit
  assert.equal(state.exitCode, 3)
  assert.equal(state.oomKilled, false)
  assert.ok(Date.parse(state.finishedAt!) > 0)
  assert.deepEqual((await logOf(container.logPath)).split('\n').sort(), ['', 'err', 'out'])
  await runtime.remove(container.id)
  await runtime.remove(container.id)
  assert.deepEqual(await runtime.list(), [])
  assert.ok(existsSync(container.logPath))
})

test('start is quick', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const times: number[] = []
  for (let i = 0; i < 8; i++) {
    const container = spec()
    const began = performance.now()
    await runtime.start(container)
    times.push(performance.now() - began)
  }
  t.diagnostic(`start: ${times.map((ms) => ms.toFixed(0)).join(' ')} ms`)
  assert.ok(Math.min(...times) < 1000)
})

test('stop signals, waits, then kills', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const [polite, deaf] = [
    spec({ command: 'trap "exit 7" USR1; echo ready; while :; do sleep 0.05; done' }),
    spec({ command: 'trap "" TERM; sleep 1000' }),
  ]
  await Promise.all([runtime.start(polite), runtime.start(deaf)])
  for await (const _ of readLogs(polite.logPath, { follow: true })) break
  await runtime.stop(polite.id, { graceSeconds: 30, signal: 'SIGUSR1' })
  assert.equal((await runtime.state(polite.id))?.exitCode, 7)
  const began = performance.now()
  await runtime.stop(deaf.id, { graceSeconds: 0.2 })
  const took = performance.now() - began
  assert.ok(took >= 200 && took < 2000, `${took} ms`)
  assert.equal((await runtime.state(deaf.id))?.exitCode, 137)
  await runtime.stop(deaf.id, { graceSeconds: 1 })
  await runtime.stop('nosuch', { graceSeconds: 1 })
})

test('the kernel ends what takes too much memory, and that is told', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const container = spec({ command: 'sleep 0.1; tail /dev/zero', resources: { memoryBytes: 8 << 20 } })
  const exit = exitOf(runtime, container.id)
  await runtime.start(container)
  const state = await exit
  assert.equal(state.exitCode, 137)
  assert.equal(state.oomKilled, true)
})

test('exec: streams, exit code, input, failure to start, abort', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const { id } = await runtime.start(spec({ env: ['GREETING=hello'] }))
  assert.deepEqual(await run(runtime, id, ['sh', '-c', 'echo $GREETING; echo no >&2; exit 5']), { code: 5, out: 'hello\n', err: 'no\n' })
  const big = 'x'.repeat(300_000)
  assert.deepEqual(await run(runtime, id, ['cat'], big), { code: 0, out: big, err: '' })
  await assert.rejects(run(runtime, id, ['/bin/nosuch']), {
    name: 'RuntimeError',
    reason: 'StartError',
    message: /no such file or directory/,
  })
  const running = runtime.exec(id, { args: ['sleep', '999'], tty: false, signal: AbortSignal.timeout(300) })
  await assert.rejects(running, { name: 'TimeoutError' })
  const { out } = await run(runtime, id, ['sh', '-c', 'for p in /proc/[0-9]*/cmdline; do cat $p; echo; done'])
  assert.ok(!out.includes('999'), out)
  await assert.rejects(run(runtime, 'nosuch', ['true']), { name: 'RuntimeError' })
})

/** Writes the file of `--pid-file` a while after the process runs, as runc does on a busy machine. */
const runcWithLatePid = `#!/bin/bash
args=("$@")
for i in \${!args[@]}; do
  [[ \${args[i]} == --pid-file && " $* " == *" exec "* ]] || continue
  pid=\${args[i+1]}
  args[i+1]=$pid.late
  (until [ -e $pid.late ]; do sleep .02; done; sleep .3; mv $pid.late $pid) <&- >&- 2>&- &
done
exec /usr/sbin/runc "\${args[@]}"
`

test('exec that is aborted before the runtime has written down its process leaves no process behind', options, async (t) => {
  const slow = mkdtempSync(join(tmpdir(), 'coracle-slow-runc-'))
  t.after(() => rmSync(slow, { recursive: true }))
  const wrapper = join(slow, 'runc')
  writeFileSync(wrapper, runcWithLatePid, { mode: 0o755 })
  const { runtime, spec } = await testRuntime(t, { programs: { runtime: wrapper } })
  const { id } = await runtime.start(spec())
  const leaves = new AbortController()
  const stdout = new PassThrough().once('data', () => leaves.abort())
  const aborted = runtime.exec(id, { args: ['sh', '-c', 'echo up; exec sleep 999'], tty: false, stdout, signal: leaves.signal })
  await assert.rejects(aborted, { name: 'AbortError' })
  const { out } = await run(runtime, id, ['sh', '-c', 'for p in /proc/[0-9]*/cmdline; do cat $p; echo; done'])
  assert.doesNotMatch(out, /sleep.999/)
})

test('the environment, user, folder and limits of the process are what was asked', options, async (t) => {
  const { runtime, spec, dir } = await testRuntime(t)
  const asked = spec({
    user: 'web',
    cwd: '/made/up',
    resources: { memoryBytes: 64 << 20, cpuShares: 512, cpuQuotaMicros: 50_000, pids: 20 },
    noNewPrivileges: true,
  })
  const { id } = await runtime.start(asked)
  const { out } = await run(runtime, id, ['sh', '-c', 'id -u; id -g; id -G; pwd; echo $HOME; echo $PATH; cat /proc/self/status'])
  assert.match(out, /^1000\n1001\n1001 2000\n\/made\/up\n\/home\/web\n\/usr\/local\/sbin:/)
  assert.match(out, /NoNewPrivs:\s+1/)
  assert.match(out, /CapEff:\s+0000000000000000/)
  assert.match(out, /CapBnd:\s+00000000a80425fb/)
  const stats = await runtime.stats(id)
  assert.ok(stats && stats.memoryUsageBytes > 0 && stats.memoryWorkingSetBytes <= stats.memoryUsageBytes && stats.cpuNanos > 0)
  await runtime.resize(id, { memoryBytes: 32 << 20 })
  assert.equal((await runtime.state(id))?.spec.resources.memoryBytes, 32 << 20)
  const readOnly = await runtime.start(
    spec({
      readOnlyRoot: true,
      mounts: [
        { source: dir, target: '/host/dir', readOnly: true },
        { source: 'tmpfs', target: '/t', type: 'tmpfs' },
      ],
    }),
  )
  const tried = await run(runtime, readOnly.id, ['sh', '-c', 'echo 1 >/x; echo 1 >/host/dir/x; echo 1 >/t/x && ls /host/dir'])
  assert.match(tried.out, /layer/)
  assert.match(tried.err, /\/x: Read-only.*\n.*\/host\/dir\/x: Read-only/)
})

test('what cannot start says why and leaves nothing', options, async (t) => {
  const { runtime, spec, dir } = await testRuntime(t)
  const failing = [
    { ...spec({ args: ['nosuch'] }), reason: 'RunContainerError', message: /nosuch.*executable file not found/ },
    { ...spec({ user: 'nobody-here' }), reason: 'CreateContainerError', message: /unable to find user nobody-here/ },
    { ...spec({ layers: [join(dir, 'nosuch')] }), reason: 'CreateContainerError', message: /./ },
    { ...spec({ mounts: [{ source: '/no/such/source', target: '/m' }] }), reason: 'RunContainerError', message: /\/no\/such\/source/ },
    { ...spec({ id: '../up' }), reason: 'CreateContainerError', message: /not a container id/ },
  ]
  for (const { reason, message, ...container } of failing)
    await assert.rejects(runtime.start(container), { name: 'RuntimeError', reason, message })
  assert.deepEqual(await runtime.list(), [])
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(dir))
})

test('an agent that comes back finds its containers as they are', options, async (t) => {
  const { runtime, spec, open } = await testRuntime(t)
  const [staying, leaving] = [spec(), spec({ command: 'test -e /data/go || while ! test -e /data/go; do sleep 0.02; done; exit 4' })]
  const before = await runtime.start(staying)
  await runtime.start(leaving)
  await runtime.close()
  const { pid } = (await runtime.state(leaving.id))!
  process.kill(pid!, 'SIGKILL')
  // Its monitor writes the exit file while no agent is there.
  while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 5))
  const again = await open()
  assert.deepEqual(await again.state(staying.id), before)
  assert.equal((await exitOf(again, leaving.id)).exitCode, 137)
  assert.equal((await run(again, staying.id, ['echo', 'still'])).out, 'still\n')
  await again.close()
  const third = await open()
  assert.equal((await third.state(leaving.id))?.exitCode, 137)
  await third.stop(staying.id, { graceSeconds: 0 })
  assert.equal((await third.state(staying.id))?.exitCode, 137)
})

test('what a crash left half-made is cleaned up', options, async (t) => {
  const { runtime, spec, open, dir } = await testRuntime(t)
  const container = spec()
  await runtime.start(container)
  await runtime.close()
  // As if the agent had died before it noted the pid.
  const { writeRecord } = await import('./record.ts')
  await writeRecord(join(dir, 'containers/by-id', container.id), { id: container.id, spec: container, phase: 'created' })
  const again = await open()
  assert.deepEqual(await again.list(), [])
  assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(dir))
  const { pid } = (await runtime.state(container.id))!
  assert.equal(existsSync(`/proc/${pid}/exe`) && statSync(`/proc/${pid}`).isDirectory(), false)
})

test('an image of very many layers', options, async (t) => {
  const { runtime, spec, dir, layer } = await testRuntime(t)
  const layers = Array.from({ length: 100 }, (_, n) => join(dir, `layer-with-a-name-of-some-length-${n}`))
  for (const [n, path] of layers.entries()) {
    mkdirSync(path)
    writeFileSync(join(path, 'top'), `${n}`)
  }
  const { id } = await runtime.start(spec({ layers: [layer, ...layers] }))
  assert.equal((await run(runtime, id, ['cat', '/top'])).out, '99')
})

test('a log that grows too long is set aside while it is followed', options, async (t) => {
  const clock = fakeClock()
  const { runtime, spec } = await testRuntime(t, { clock, logs: { maxBytes: 1000, maxFiles: 3 } })
  const container = spec({
    command: 'i=0; while test $i -lt 40; do i=$((i+1)); echo line $i; done; while ! test -e /data/go; do sleep 0.02; done; echo after',
  })
  const { id } = await runtime.start(container)
  const exit = exitOf(runtime, id)
  let seen = ''
  const { promise, resolve: full } = Promise.withResolvers<void>()
  const followed = (async () => {
    for await (const chunk of readLogs(container.logPath, { follow: true, exited: exit })) {
      if ((seen += chunk).endsWith('line 40\n')) {
        void clock.advance(10_000)
        full()
      }
    }
  })()
  await promise
  const changes = watch(dirname(container.logPath))
  while (readdirSync(dirname(container.logPath)).length < 2) await once(changes, 'change')
  changes.close()
  await run(runtime, id, ['sh', '-c', '>/data/go'])
  await followed
  assert.match(seen, /^line 1\n[^]*line 40\nafter\n$/)
  assert.equal(await logOf(container.logPath), 'after\n')
})

test('a flood of output between two looks leaves a log of bounded size, and its end', options, async (t) => {
  const clock = fakeClock()
  const { runtime, spec } = await testRuntime(t, { clock, logs: { maxBytes: 100_000, maxFiles: 3 } })
  const container = spec({ command: 'yes "a line that says little" | head -c 5000000; echo last' })
  const { id } = await runtime.start(container)
  assert.equal((await exitOf(runtime, id)).exitCode, 0)
  const folder = dirname(container.logPath)
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size)
  assert(sizes.reduce((sum, size) => sum + size) < 400_000, sizes.join())
  assert.equal((await logOf(container.logPath)).slice(-5), 'last\n')
})

test('a container whose monitor dies is ended and told', options, async (t) => {
  const clock = fakeClock()
  const { runtime, spec, dir } = await testRuntime(t, { clock })
  const { id } = await runtime.start(spec())
  const exit = exitOf(runtime, id)
  const monitor = Number(readFileSync(join(dir, 'containers/by-id', id, 'conmon.pid'), 'utf8'))
  process.kill(monitor, 'SIGKILL')
  while (runsWith(monitor, id)) await new Promise((resolve) => setImmediate(resolve))
  await clock.advance(10_000)
  assert.equal((await exit).exitCode, 137)
})
