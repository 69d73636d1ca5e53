import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Call, PluginError, runPlugin } from './plugin.ts'
import { fails, fakePlugins, prints } from './plugins.fake.ts'

const call = (bin: string, more: Partial<Call> = {}): Call => ({
  command: 'ADD',
  binDirs: ['/nonexistent', bin],
  type: 'p',
  env: {},
  config: {},
  deadlineMs: 10_000,
  ...more,
})

test('a plugin that fails is understood, whatever it says', async (t) => {
  const { bin, plugin } = await fakePlugins(t)
  const expectations: [answer: string, message: string, code?: number][] = [
    [fails(11, 'try later', 'no lease'), 'try later; no lease', 11],
    [`${prints({ code: 7, msg: 'bad config' })}; exit 3`, 'bad config', 7],
    ['echo panic: nil map >&2; exit 2', 'netplugin failed: exit status 2: panic: nil map'],
    ['echo "no JSON"; exit 1', 'netplugin failed: exit status 1: no JSON'],
    ['exit 1', 'netplugin failed with no error message: exit status 1'],
    ['kill -SEGV $$', 'netplugin failed with no error message: SIGSEGV'],
    ['echo "{ half"', 'the answer is not JSON: { half'],
    ['head -c 3000000 /dev/zero', 'the answer is longer than 1048576 bytes'],
  ]
  for (const [answer, message, code] of expectations) {
    await plugin('p', { ADD: answer })
    await assert.rejects(runPlugin(call(bin)), (error) => {
      assert(error instanceof PluginError)
      assert.equal(error.message.trim(), message)
      assert.equal(error.code, code)
      return true
    })
  }
  await assert.rejects(runPlugin(call(bin, { type: 'q' })), { message: `failed to find plugin "q" in path [/nonexistent ${bin}]` })
})

test('a plugin may answer nothing, and end without reading its configuration', async (t) => {
  const { bin, plugin } = await fakePlugins(t)
  await plugin('p', { DEL: ':' })
  assert.equal(await runPlugin(call(bin, { command: 'DEL', config: { filler: 'x'.repeat(500_000) } })), undefined)
  assert.equal(await runPlugin(call('/bin', { type: 'true', config: { filler: 'x'.repeat(500_000) } })), undefined)
})

test('one that does not answer is ended with all that it started', async (t) => {
  const { bin, data, plugin } = await fakePlugins(t)
  await plugin('p', { ADD: `sleep 60 & echo $! >${join(data, 'pid')}; wait` })
  const pid = async () => {
    for (;;) {
      const text = await readFile(join(data, 'pid'), 'utf8').catch(() => '')
      if (text.endsWith('\n')) return Number(text)
      await sleep(2)
    }
  }
  const isGone = async (pid: number) => {
    const state = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
    return state === '' || / Z /.test(state)
  }
  const controller = new AbortController()
  const ended = assert.rejects(runPlugin(call(bin, { signal: controller.signal })), { message: 'aborted' })
  const child = await pid()
  controller.abort()
  await ended
  while (!(await isGone(child))) await sleep(2)
  await assert.rejects(runPlugin(call(bin, { deadlineMs: 20 })), { message: 'no answer within 0.02 seconds' })
})

test('it sees its environment and nothing of ours', async (t) => {
  const { bin, plugin, last } = await fakePlugins(t)
  await plugin('p')
  process.env['OF_THE_AGENT'] = 'secret'
  t.after(() => delete process.env['OF_THE_AGENT'])
  await runPlugin(call(bin, { env: { CNI_IFNAME: 'eth0' }, config: { a: 1 } }))
  const { env, config } = await last('ADD p')
  assert.deepEqual(
    [env['CNI_COMMAND'], env['CNI_IFNAME'], env['CNI_PATH'], env['OF_THE_AGENT']],
    ['ADD', 'eth0', `/nonexistent:${bin}`, undefined],
  )
  assert.deepEqual(config, { a: 1 })
})
