import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { silent } from '#api/log.ts'
import { Malformed } from '../images/malformed.ts'
import { loadNetwork, parseNetwork } from './config.ts'
import { fakePlugins } from './plugins.fake.ts'

const list = (more: object = {}) => ({ cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'bridge' }], ...more })

test('of a folder the first sound configuration counts, in the order of the names', async (t) => {
  const { conf, configure } = await fakePlugins(t)
  await assert.rejects(loadNetwork(join(conf, 'none'), silent), /^Error: cni plugin not initialized: no network config found in .*none$/)
  await assert.rejects(loadNetwork(conf, silent), /cni plugin not initialized: no valid network config found/)
  const warned: unknown[] = []
  const log = {
    ...silent,
    warn: (fields: Record<string, unknown>, message: string) => void warned.push(`${message}: ${(fields.err as Error).message}`),
  }
  await configure('05-broken.conflist', '{ "name": ')
  await configure('06-other.txt', list({ name: 'other' }))
  await configure('10-empty.conflist', list({ plugins: [] }))
  await configure('20-pods.conflist', list())
  await configure('30-later.conf', { cniVersion: '0.4.0', name: 'later', type: 'ptp' })
  const found = await loadNetwork(conf, log)
  assert.deepEqual(found, { name: 'pods', versions: ['1.0.0'], plugins: [{ type: 'bridge' }], disableCheck: false, disableGC: false })
  assert.equal(warned.length, 2)
  assert.match(String(warned[0]), /^network configuration 05-broken\.conflist cannot be used: /)
  assert.equal(warned[1], 'network configuration 10-empty.conflist cannot be used: plugins must not be empty')
})

test('a file of one plugin is a list of one; plugins of a list may be in files of their own', async (t) => {
  const { conf, configure } = await fakePlugins(t)
  await configure('10-single.conf', { cniVersion: '0.4.0', name: 'single', type: 'ptp', mtu: 1400 })
  const single = await loadNetwork(conf, silent)
  assert.deepEqual([single.plugins.length, single.plugins[0]?.type, single.plugins[0]?.mtu, single.versions], [1, 'ptp', 1400, ['0.4.0']])
  await configure(
    '05-pods.conflist',
    list({ cniVersion: '1.1.0', cniVersions: ['1.0.0', '1.1.0', '9.0.0'], plugins: undefined, disableGC: 'true' }),
  )
  await mkdir(join(conf, 'pods'))
  await writeFile(join(conf, 'pods/10-b.conf'), '{"type":"b"}')
  await writeFile(join(conf, 'pods/05-a.conf'), '{"type":"a"}')
  const found = await loadNetwork(conf, silent)
  assert.deepEqual([found.plugins.map(({ type }) => type), found.versions, found.disableGC], [['a', 'b'], ['1.1.0', '1.0.0'], true])
})

test('what cannot be meant is refused with its field', () => {
  const bad: [unknown, RegExp][] = [
    [[], /the configuration must be an object/],
    [list({ name: '../pods' }), /name must be letters/],
    [list({ name: undefined }), /name must be/],
    [list({ cniVersion: '0.2.0' }), /cniVersion must be one of 1\.1\.0, .*not 0\.2\.0/],
    [list({ cniVersion: undefined }), /not absent/],
    [list({ plugins: {} }), /plugins must be a list/],
    [list({ plugins: ['bridge'] }), /plugins\[0\] must be an object/],
    [list({ plugins: [{ type: '../../bin/sh' }] }), /plugins\[0\]\.type must name a plugin/],
    [list({ plugins: [{ type: '..' }] }), /plugins\[0\]\.type must name a plugin/],
    [list({ plugins: [{ type: 'bridge', capabilities: [] }] }), /plugins\[0\]\.capabilities must be an object/],
  ]
  for (const [config, message] of bad)
    assert.throws(
      () => parseNetwork(config, true),
      (error) => error instanceof Malformed && message.test(error.message),
    )
})
