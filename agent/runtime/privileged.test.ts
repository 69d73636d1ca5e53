import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { needsContainers, run, testRuntime } from './testing.ts'

const options = { skip: needsContainers }

test('a privileged container has our capabilities, the devices and writable kernel settings', options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const { id } = await runtime.start(spec({ privileged: true }))
  const { out } = await run(runtime, id, ['sh', '-c', 'cat /proc/self/status; ls /dev; mount'])
  const own = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!
  assert.match(out, new RegExp(`CapEff:\\s+${own}`))
  assert.match(out, /^loop-control$|^kmsg$/m)
  assert.match(out, /sysfs on \/sys type sysfs \(rw/)
  assert.doesNotMatch(out, / on \/proc\/sys /)
})

test("the host's processes, and those of another container", options, async (t) => {
  const { runtime, spec } = await testRuntime(t)
  const first = await runtime.start(spec({ command: 'exec sleep 12345' }))
  const host = await runtime.start(spec({ namespaces: { pid: 'host' }, command: 'sleep 1000 & exec sleep 1000' }))
  assert.equal((await run(runtime, host.id, ['cat', `/proc/${first.pid}/cmdline`])).out, 'sleep\x0012345\0')
  const beside = await runtime.start(spec({ namespaces: { pid: first.pid! } }))
  assert.equal((await run(runtime, beside.id, ['cat', '/proc/1/cmdline'])).out, 'sleep\x0012345\0')
  // What it left running in the host's namespace goes with its cgroup.
  await runtime.stop(host.id, { graceSeconds: 0 })
  await runtime.remove(host.id)
  await runtime.stop(beside.id, { graceSeconds: 0 })
  assert.equal((await runtime.state(first.id))?.phase, 'running')
})
