// kubectl on objects of every kind: make them, mark them, look at them, wait for them, delete them.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { before, it } from 'node:test'
import { eventually } from '../cluster/eventually.ts'
import { configMap, deployment, withEachKubectl } from './kubectl.ts'
import { testServer } from './server.ts'

const server = await testServer()
withEachKubectl(server, 'objects', ({ k, fails, run, json, namespace, program }) => {
  before(async () => {
    await k(
      'apply -f -',
      configMap('one', 'newer: x', 'set: pruned') + configMap('two', 'a: b', 'set: pruned') + configMap('bystander', 'a: b'),
    )
    await k('apply -f -', deployment(1))
  })

  it('create: every form that has a command of its own', async () => {
    await k('create configmap c --from-literal=a=b')
    await k('create secret generic s --from-literal=a=b')
    await k('create secret docker-registry d --docker-server=r --docker-username=u --docker-password=p')
    await k('create serviceaccount robot')
    await k('create deployment made --image=busybox:1 --replicas=0')
    await k('create job once --image=busybox:1 -- true')
    await k('create cronjob often --image=busybox:1 --schedule=@hourly -- true')
    await k('create job now --from=cronjob/often')
    await k('create service clusterip cip --tcp=80:8080')
    await k('create service nodeport np --tcp=80')
    await k('create service externalname en --external-name=example.com')
    await k('create ingress front --rule=example.com/*=cip:80')
    await k('create role reader --verb=get,list --resource=pods,pods/log')
    await k('create rolebinding readers --role=reader --serviceaccount=default:robot')
    await k(`create clusterrole ${namespace} --verb=get --non-resource-url=/x`)
    await k(`create clusterrolebinding ${namespace} --clusterrole=${namespace} --user=jane`)
    await k('create poddisruptionbudget pdb --selector=app=web --min-available=1')
    await k('create quota q --hard=pods=100,configmaps=100')
    await k(`create priorityclass ${namespace} --value=10`)
    await k(`delete clusterrole,clusterrolebinding,priorityclass ${namespace}`)
    assert.match(await fails('create configmap c'), /already exists/)
    assert.match(await k('create configmap dry --dry-run=server -o name'), /configmap\/dry/)
    assert.match(await fails('get configmap dry'), /NotFound/)
    assert.match(await k('get all'), /deployment.apps\/made[^]*job.batch\/once|job.batch\/once[^]*deployment.apps\/made/)
    await k('delete job,cronjob,pdb,quota,ingress --all')
    await k('delete deployment made')
    await k('delete service cip np en')
  })

  it('label and annotate: set, refuse to overwrite, overwrite, remove, by selector', async () => {
    await k('label configmap one tier=front')
    assert.match(await fails('label configmap one tier=back'), /already has a value/)
    await k('label --overwrite configmap one tier=back')
    assert.match(await fails('label configmap one bad/label/x=y'), /./)
    await k('annotate configmap one note="a b c"')
    assert.equal((await json('get configmap one')).metadata.annotations.note, 'a b c')
    await k('annotate configmap -l tier=back seen=yes')
    assert.equal(await k('get configmap -l tier=back -o name'), 'configmap/one\n')
    assert.equal(await k('get configmap -l tier!=back,set -o name'), 'configmap/two\n')
    assert.match(await k('get configmap --selector "tier in (back,front)" --show-labels'), /tier=back/)
    assert.match(await k('label configmap one --list'), /tier=back/)
    await k('label configmap one tier-')
    assert.equal(await k('get configmap -l tier -o name'), '')
    await k('label configmap --all --overwrite all=yes')
  })

  it('scale, set, autoscale, expose and rollout', async () => {
    await k('scale deploy/web --replicas=3')
    assert.match(await fails('scale deploy/web --current-replicas=9 --replicas=1'), /Expected replicas to be 9/)
    assert.equal((await json('get deploy web --subresource=scale')).spec.replicas, 3)
    await k('set image deploy/web main=busybox:2')
    await k('set env deploy/web A=2')
    await k('set resources deploy/web --limits=cpu=200m')
    await k('set serviceaccount deploy/web robot')
    await k('autoscale deploy/web --min=1 --max=4 --cpu-percent=50')
    assert.match(await k('get hpa web'), /Deployment\/web/)
    await k('delete hpa web')
    await k('expose deploy/web --port=80 --target-port=8080')
    await k('set selector service/web app=web,tier=none')
    assert.match(await k('describe service web'), /TargetPort: +8080/)
    await k('rollout pause deploy/web')
    await k('rollout resume deploy/web')
    await eventually(async () => assert.match(await k('rollout history deploy/web'), /REVISION[^]*2/))
    await k('rollout undo deploy/web --to-revision=1')
    await eventually(async () => assert.equal((await json('get deploy web')).spec.template.spec.containers[0].image, 'busybox:1'))
    await k('rollout restart deploy/web')
    assert.match(await fails('rollout status deploy/web --timeout=1s'), /timed out/)
  })

  it('wait: for a condition, a value, a deletion, and in vain', async () => {
    await k('scale deploy/web --replicas=0')
    await k('wait deploy/web --for=condition=Available --timeout=10s')
    await k(`wait deploy/web --for=jsonpath={.spec.replicas}=0 --timeout=10s`)
    assert.match(await fails('wait deploy/web --for=condition=Never --timeout=1s'), /timed out waiting for the condition/)
    const waiting = run('wait configmap/two --for=delete --timeout=20s')
    await k('delete configmap two')
    assert.equal((await waiting).code, 0)
  })

  it('get: columns, output forms, sorting, paging, raw, and a watch', async () => {
    assert.match(await k('get configmap one -o yaml'), /^apiVersion: v1\ndata:\n {2}newer: x\nkind: ConfigMap/)
    assert.equal(await k('get configmap one -o jsonpath={.data.newer}'), 'x')
    assert.equal(await k('get configmap one -o go-template={{.data.newer}}'), 'x')
    assert.match(await k('get configmap one -o custom-columns=N:.metadata.name'), /^N\none\n$/)
    assert.match(await k('get configmap --sort-by=.metadata.creationTimestamp'), /^NAME +DATA +AGE\n/)
    assert.match(await k('get configmap --chunk-size=1 -o name'), /configmap\/bystander[^]*configmap\/one/)
    assert.match(await k('get configmap -A --no-headers'), new RegExp(`^${namespace} +one `, 'm'))
    assert.match(await k('get configmap one --show-managed-fields -o yaml'), /managedFields:/)
    assert.match(await k('get cm one --field-selector metadata.name=one -o name').catch(() => 'both a name and a selector'), /./)
    assert.equal(await k('get cm --field-selector metadata.name=one -o name'), 'configmap/one\n')
    assert.equal(JSON.parse(await k(`get --raw /api/v1/namespaces/${namespace}/configmaps/one`)).metadata.name, 'one')
    assert.equal(await k('get --raw /readyz'), 'ok')
    const watch = spawn(program, ['-n', namespace, 'get', 'configmap', '--watch-only', '--output-watch-events', '--no-headers'], {
      env: { ...process.env, KUBECONFIG: server.kubeconfig },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface(watch.stdout)[Symbol.asyncIterator]()
    const first = lines.next()
    // Nothing says when the watch stands: until it does, nothing is seen.
    const touch = setInterval(() => void run(`label --overwrite cm one at=${Date.now()}`), 200)
    assert.match(String((await first).value), /^MODIFIED +one +1/)
    clearInterval(touch)
    watch.kill()
    await once(watch, 'close')
  })

  it('describe, of everything there is', async () => {
    const shown = await k('describe deploy,cm,secret,sa,service,role,rolebinding')
    assert.match(shown, /Name: +web\n[^]*Replicas:/)
    assert.match(await k(`describe namespace ${namespace}`), /Status: +Active/)
  })

  it('delete: by name, file, selector, all; cascading; raw; and what is not there', async () => {
    await k('delete configmap bystander --wait=false')
    await k('delete -f -', configMap('one', 'a: b'))
    assert.match(await fails('delete configmap one'), /NotFound/)
    await k('delete configmap one --ignore-not-found')
    await k('delete configmap -l all=yes')
    await k('delete deploy web --cascade=orphan')
    await eventually(async () => assert.notEqual(await k('get rs -l app=web -o name'), ''))
    await eventually(async () =>
      assert.ok((await json('get rs -l app=web')).items.every((rs: { metadata: object }) => !('ownerReferences' in rs.metadata))),
    )
    await k('delete rs -l app=web --cascade=foreground')
    await k(`delete --raw /api/v1/namespaces/${namespace}/serviceaccounts/robot`)
    await k('delete secret --all --now')
    await k(`delete namespace ${namespace} --timeout=30s`)
    assert.match((await run('get all,cm,sa')).stderr, /No resources found/)
  })
})
