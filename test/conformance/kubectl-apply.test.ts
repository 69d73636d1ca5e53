// kubectl and the ways to change what is there: apply in both forms, diff, edit, replace, patch.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { configMap, deployment, withEachKubectl } from './kubectl.ts'
import { testServer } from './server.ts'

withEachKubectl(await testServer(), 'apply', ({ k, fails, run, json, file }) => {
  it('apply: creates, leaves alone, changes, and refuses what cannot be', async () => {
    assert.match(await k('apply -f -', deployment(1)), /deployment.apps\/web created/)
    assert.match(await k('apply -f -', deployment(1)), /web unchanged/)
    assert.match(await k('apply -f -', deployment(2)), /web configured/)
    assert.equal((await json('get deploy web')).spec.replicas, 2)
    assert.match(
      await fails('apply -f -', deployment(2).replace('app: web } }\n  template', 'app: other } }\n  template')),
      /field is immutable|selector/,
    )
    assert.match(await fails('apply -f -', deployment(2).replace('replicas', 'replikas')), /unknown field "(spec\.)?replikas"/)
    assert.match(await k('apply -f - --dry-run=server', deployment(7)), /server dry run/)
    assert.equal((await json('get deploy web')).spec.replicas, 2)
    assert.match(await k('apply view-last-applied deploy/web'), /replicas: 2/)
    assert.match(await k('apply set-last-applied -f -', deployment(2)), /configured|unchanged/)
  })

  it('apply --prune takes away what is no longer applied', async () => {
    const set = (...names: string[]) => names.map((name) => configMap(name, 'a: b', 'set: pruned')).join('')
    const apply = 'apply --prune -l set=pruned --prune-allowlist=core/v1/ConfigMap -f -'
    assert.match(await k(apply, set('one', 'two', 'three')), /three created/)
    await k('apply -f -', configMap('bystander', 'a: b'))
    assert.match(await k(apply, set('one', 'two')), /configmap\/three pruned/)
    assert.deepEqual((await k('get configmap one two three bystander -o name --ignore-not-found')).trim().split('\n'), [
      'configmap/one',
      'configmap/two',
      'configmap/bystander',
    ])
  })

  it('apply with an ApplySet prunes, too', async () => {
    const apply = `apply --prune --applyset=configmaps/set -f -`
    const applySet = async (input: string) => {
      const { code, stdout, stderr } = await run(apply, { input, env: { KUBECTL_APPLYSET: 'true' } })
      assert.equal(code, 0, stderr)
      return stdout
    }
    await applySet(configMap('left', 'a: b') + configMap('right', 'a: b'))
    assert.match(await applySet(configMap('left', 'a: b')), /right pruned/)
    assert.match(await fails('get configmap right'), /NotFound/)
  })

  it('diff: 0 without, 1 with a difference, shown as one', async () => {
    assert.equal((await run('diff -f -', { input: deployment(2) })).code, 0)
    const { code, stdout, stderr } = await run('diff -f -', { input: deployment(3) })
    assert.equal(code, 1, stderr)
    assert.match(stdout, /-  replicas: 2\n\+  replicas: 3/)
    assert.equal((await run('diff --server-side --force-conflicts -f -', { input: deployment(3) })).code, 1)
    assert.equal((await json('get deploy web')).spec.replicas, 2)
  })

  it('edit: what the editor leaves is what there is', async () => {
    const edit = async (what: string, change: string) => {
      const editor = await file('editor', `#!/bin/sh\nsed -i "${change}" "$1"\n`, 0o755)
      const { stdout, stderr } = await run(`edit ${what}`, { env: { EDITOR: editor } })
      return stdout + stderr
    }
    assert.match(await edit('deploy/web', 's/replicas: 2/replicas: 4/'), /deployment.apps\/web edited/)
    assert.equal((await json('get deploy web')).spec.replicas, 4)
    assert.match(await edit('deploy/web', 's/replicas: 2/replicas: 4/'), /no changes made/)
    assert.match(await edit('deploy/web', 's/replicas: 4/replicas: -4/'), /deployments.apps "web" is invalid/)
    await edit('deploy/web --subresource=status', 's/replicas: 4/replicas: 5/')
    assert.equal((await json('get deploy web')).spec.replicas, 4)
  })

  it('replace, and replace --force, which makes it anew', async () => {
    const before = await json('get configmap one')
    await k('replace -f -', configMap('one', 'new: x', 'set: pruned'))
    const after = await json('get configmap one')
    assert.deepEqual([after.data, after.metadata.uid], [{ new: 'x' }, before.metadata.uid])
    await k('replace --force -f -', configMap('one', 'newer: x'))
    const forced = await json('get configmap one')
    assert.deepEqual(forced.data, { newer: 'x' })
    assert.notEqual(forced.metadata.uid, before.metadata.uid)
    assert.match(await fails('replace -f -', configMap('absent', 'a: b')), /NotFound/)
  })

  it('patch: strategic, merge, JSON, and the status alone', async () => {
    await k(`patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}'`)
    const [container] = (await json('get deploy web')).spec.template.spec.containers
    assert.deepEqual([container.image, container.env], ['busybox:1', [{ name: 'A', value: '1' }]])
    await k(`patch deploy web --type=merge -p '{"spec":{"minReadySeconds":3}}'`)
    await k(`patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'`)
    const { spec } = await json('get deploy web')
    assert.deepEqual([spec.minReadySeconds, spec.replicas], [3, 1])
    assert.match(await fails(`patch deploy web --type=json -p '[{"op":"test","path":"/spec/replicas","value":9}]'`), /testing|test/i)
    // Of a class that nobody here serves: its status is left to whoever does.
    await k(
      'apply -f -',
      'apiVersion: v1\nkind: Service\nmetadata: {name: foreign}\nspec: {type: LoadBalancer, loadBalancerClass: example.com/none, ports: [{port: 80}]}\n',
    )
    const status = '{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.9"}]}},"spec":{"externalName":"x"}}'
    await k(`patch svc foreign --subresource=status --type=merge -p '${status}'`)
    const foreign = await json('get svc foreign')
    assert.deepEqual([foreign.status.loadBalancer.ingress[0].ip, foreign.spec.externalName], ['192.0.2.9', undefined])
    assert.equal((await json('get svc foreign --subresource=status')).status.loadBalancer.ingress[0].ip, '192.0.2.9')
    await k('delete svc foreign')
  })

  it('server-side apply: conflicts by name, force, shared ownership', async () => {
    const apply = 'apply --server-side --field-manager'
    await k(`${apply}=first -f -`, configMap('shared', 'a: one, b: one'))
    assert.match(await fails(`${apply}=second -f -`, configMap('shared', 'a: two')), /conflict with "first".*\n?.*\.data\.a/)
    await k(`${apply}=second --force-conflicts -f -`, configMap('shared', 'a: two'))
    assert.deepEqual((await json('get cm shared')).data, { a: 'two', b: 'one' })
    await k(`${apply}=first -f -`, configMap('shared', 'b: one'))
    await k(`${apply}=first -f -`, configMap('shared', ''))
    assert.deepEqual((await json('get cm shared')).data, { a: 'two' })
  })
})
