// Helm 3 and 4 with a chart that has hooks, a test, lookups, and an upgrade that fails.

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { atEnd } from '../cluster/ending.ts'
import { testCluster } from '../cluster/fixture.ts'
import { attempt } from '../cluster/shell.ts'
import { program } from './programs.ts'

const { plan, kubectl } = await testCluster({ nodes: 1 })
const home = await mkdtemp(join(tmpdir(), 'coracle-helm-'))
atEnd(() => rm(home, { recursive: true }))
const chart = resolve(import.meta.dirname, 'chart')

for (const [name, atomic] of [
  ['helm3', '--atomic'],
  ['helm4', '--rollback-on-failure'],
] as const) {
  const env = { ...process.env, KUBECONFIG: plan.kubeconfig, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home }
  const tryHelm = (...args: string[]) => attempt(program(name), [...args, '-n', name], { env, timeout: 180_000 })
  const helm = async (...args: string[]) => {
    const { stdout, stderr, code } = await tryHelm(...args)
    assert.equal(code, 0, `${name} ${args.join(' ')}: ${stderr}${stdout}`)
    return stdout
  }
  const at = (...args: string[]) => kubectl('-n', name, ...args)
  const word = () => at('get', 'configmap', 'harbour', '-o', 'jsonpath={.data.index\\.html}')
  const ran = async (hook: string) => await at('get', 'pod', `hook-${hook}`, '-o', 'jsonpath={.status.phase}')

  test(`${name}: install, test, upgrade, rollback, a failed upgrade taken back, uninstall`, async () => {
    await helm('install', 'harbour', chart, '--create-namespace', '--wait', '--timeout=90s')
    assert.equal(await at('get', 'deployment', 'harbour', '-o', 'jsonpath={.status.readyReplicas}'), '1', '--wait waits')
    for (const hook of ['pre-install', 'post-install']) assert.equal(await ran(hook), 'Succeeded')
    assert.match(await helm('test', 'harbour', '--timeout=90s'), /Phase: +Succeeded/)
    const key = await at('get', 'secret', 'harbour-key', '-o', 'jsonpath={.data.key}')

    await helm('upgrade', 'harbour', chart, '--set=word=second,replicas=2', '--wait', '--timeout=90s')
    assert.equal(await word(), 'second')
    assert.equal(await at('get', 'deployment', 'harbour', '-o', 'jsonpath={.status.updatedReplicas} {.status.availableReplicas}'), '2 2')
    assert.equal(await at('get', 'secret', 'harbour-key', '-o', 'jsonpath={.data.key}'), key, 'lookup finds what is there')
    for (const hook of ['pre-upgrade', 'post-upgrade']) assert.equal(await ran(hook), 'Succeeded')
    assert.match(await helm('test', 'harbour', '--timeout=90s'), /Phase: +Succeeded/)

    await helm('rollback', 'harbour', '1', '--wait', '--timeout=90s')
    assert.equal(await word(), 'first')
    assert.equal(await at('get', 'deployment', 'harbour', '-o', 'jsonpath={.spec.replicas}'), '1')
    assert.equal(await ran('pre-rollback'), 'Succeeded')

    const failed = await tryHelm('upgrade', 'harbour', chart, '--set=word=third,command={false}', atomic, '--wait', '--timeout=25s')
    assert.notEqual(failed.code, 0)
    assert.equal(await word(), 'first', failed.stderr)
    const history = JSON.parse(await helm('history', 'harbour', '-o', 'json')) as { status: string }[]
    assert.deepEqual(
      history.map(({ status }) => status),
      ['superseded', 'superseded', 'superseded', 'failed', 'deployed'],
    )
    assert.equal((await helm('get', 'values', 'harbour', '-o', 'json')).trim(), 'null')
    assert.match(await helm('status', 'harbour'), /STATUS: deployed/)
    assert.match(await helm('list'), /harbour\s+\S+\s+5\s/)

    await helm('uninstall', 'harbour', '--wait', '--timeout=60s')
    assert.equal(await ran('pre-delete'), 'Succeeded')
    assert.equal(
      (await at('get', 'deployment,service,configmap,secret', '-l', 'app.kubernetes.io/managed-by=Helm', '-o', 'name')).trim(),
      '',
    )
  })

  test(`${name}: a chart that is refused says why, and applies nothing`, async () => {
    const bad = await tryHelm('install', 'bad', chart, '--set=replicas=many', '--no-hooks')
    assert.notEqual(bad.code, 0)
    assert.match(bad.stderr, /replicas/)
    assert.equal((await at('get', 'deployment', '-o', 'name')).trim(), '')
    await tryHelm('uninstall', 'bad', '--wait')
    const dry = await tryHelm('install', 'dry', chart, '--dry-run=server', '--no-hooks')
    assert.equal(dry.code, 0, dry.stderr)
    assert.match(dry.stdout, /namespaces: "[1-9]/)
    assert.equal((await at('get', 'deployment', '-o', 'name')).trim(), '')
  })
}
