// kubectl on objects, oldest and newest: the whole command line that needs no running pod.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { eventually } from '../cluster/eventually.ts'
import type { Kubectl } from '../cluster/kubectl.ts'
import { attempt } from '../cluster/shell.ts'
import { testServer } from './server.ts'

const { kubectls, kubeconfig } = await testServer()
const folder = await mkdtemp(join(tmpdir(), 'coracle-kubectl-'))
after(() => rm(folder, { recursive: true }))

describe('kubectl', { concurrency: true }, () => {
  for (const [i, kubectl] of kubectls.entries())
    describe(basename(kubectl.program), { concurrency: false }, () => objects(kubectl, `objects-${i}`))
})

const configMap = (name: string, data: string, labels = '') => `
apiVersion: v1
kind: ConfigMap
metadata: { name: ${name}, labels: { ${labels} } }
data: { ${data} }
---`
const web = (replicas: number, image = 'busybox:1') => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: main, image: "${image}", ports: [{ containerPort: 80 }] }] }
`

function objects(program: Kubectl, namespace: string): void {
  const run = async (args: string[], input?: string) => await program.attempt(['-n', namespace, ...args], input)
  /** What it printed; it must succeed. */
  const k = async (line: string, input?: string) => {
    const args = words(line)
    const { code, stdout, stderr } = await run(args, input)
    assert.equal(code, 0, `kubectl ${line}: ${stderr}`)
    return stdout
  }
  /** What it complained of; it must fail. */
  const fails = async (line: string, input?: string) => {
    const { code, stdout, stderr } = await run(words(line), input)
    assert.notEqual(code, 0, `kubectl ${line} should fail, and printed ${stdout}`)
    return stderr
  }
  const json = async (line: string) => JSON.parse(await k(`${line} -o json`))

  before(async () => {
    await k(`create namespace ${namespace}`)
    await eventually(() => k('get serviceaccount default'))
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
    await k('delete job,cronjob,deployment,pdb,quota,ingress --all')
    await k('delete service cip np en')
  })

  it('apply: creates, leaves alone, changes, and refuses what cannot be', async () => {
    assert.match(await k('apply -f -', web(1)), /deployment.apps\/web created/)
    assert.match(await k('apply -f -', web(1)), /web unchanged/)
    assert.match(await k('apply -f -', web(2)), /web configured/)
    assert.equal((await json('get deploy web')).spec.replicas, 2)
    assert.match(
      await fails('apply -f -', web(2).replace('app: web } }\n  template', 'app: other } }\n  template')),
      /field is immutable|selector/,
    )
    assert.match(await fails('apply -f -', web(2).replace('replicas', 'replikas')), /unknown field "(spec\.)?replikas"/)
    assert.match(await k('apply -f - --dry-run=server', web(7)), /server dry run/)
    assert.equal((await json('get deploy web')).spec.replicas, 2)
    assert.match(await k('apply view-last-applied deploy/web'), /replicas: 2/)
    assert.match(await k('apply set-last-applied -f -', web(2)), /configured|unchanged/)
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
    const env = { ...process.env, KUBECONFIG: kubeconfig, KUBECTL_APPLYSET: 'true' }
    const applySet = async (input: string) => {
      const { code, stdout, stderr } = await attempt(program.program, ['-n', namespace, ...words(apply)], { env, input })
      assert.equal(code, 0, stderr)
      return stdout
    }
    await applySet(configMap('left', 'a: b') + configMap('right', 'a: b'))
    assert.match(await applySet(configMap('left', 'a: b')), /right pruned/)
    assert.match(await fails('get configmap right'), /NotFound/)
  })

  it('diff: 0 without, 1 with a difference, shown as one', async () => {
    assert.equal((await run(['diff', '-f', '-'], web(2))).code, 0)
    const { code, stdout, stderr } = await run(['diff', '-f', '-'], web(3))
    assert.equal(code, 1, stderr)
    assert.match(stdout, /-  replicas: 2\n\+  replicas: 3/)
    assert.equal((await run(['diff', '--server-side', '--force-conflicts', '-f', '-'], web(3))).code, 1)
    assert.equal((await json('get deploy web')).spec.replicas, 2)
  })

  it('edit: what the editor leaves is what there is', async () => {
    const editor = join(folder, `editor-${namespace}`)
    await writeFile(editor, '#!/bin/sh\nsed -i "s/replicas: 2/replicas: 4/" "$1"\n', { mode: 0o755 })
    const edit = async (...args: string[]) => {
      const env = { ...process.env, KUBECONFIG: kubeconfig, EDITOR: editor }
      const { stdout, stderr } = await attempt(program.program, ['-n', namespace, 'edit', ...args], { env })
      return stdout + stderr
    }
    assert.match(await edit('deploy/web'), /deployment.apps\/web edited/)
    assert.equal((await json('get deploy web')).spec.replicas, 4)
    assert.match(await edit('deploy/web'), /no changes made/)
    await writeFile(editor, '#!/bin/sh\nsed -i "s/replicas: 4/replicas: -4/" "$1"\n', { mode: 0o755 })
    assert.match(await edit('deploy/web'), /deployments.apps "web" is invalid/)
    await writeFile(editor, '#!/bin/sh\nsed -i "s/replicas: 4/replicas: 5/" "$1"\n', { mode: 0o755 })
    await edit('deploy/web', '--subresource=status')
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

  it('patch: strategic, merge, JSON, and the status alone', async () => {
    await k(`patch deploy web -p '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}'`)
    const [container] = (await json('get deploy web')).spec.template.spec.containers
    assert.deepEqual([container.image, container.env], ['busybox:1', [{ name: 'A', value: '1' }]])
    await k(`patch deploy web --type=merge -p '{"spec":{"minReadySeconds":3}}'`)
    await k(`patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'`)
    const { spec } = await json('get deploy web')
    assert.deepEqual([spec.minReadySeconds, spec.replicas], [3, 1])
    assert.match(await fails(`patch deploy web --type=json -p '[{"op":"test","path":"/spec/replicas","value":9}]'`), /testing|test/i)
    await k(
      'apply -f -',
      'apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: claim}\nspec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}\n',
    )
    await k(`patch pvc claim --subresource=status --type=merge -p '{"status":{"phase":"Lost"},"spec":{"volumeName":"x"}}'`)
    const claim = await json('get pvc claim')
    assert.deepEqual([claim.status.phase, claim.spec.volumeName], ['Lost', undefined])
    assert.equal((await json('get pvc claim --subresource=status')).status.phase, 'Lost')
    await k('delete pvc claim')
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
    const waiting = run(['wait', 'configmap/two', '--for=delete', '--timeout=20s'])
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
    const watch = spawn(program.program, ['-n', namespace, 'get', 'configmap', '--watch-only', '--output-watch-events', '--no-headers'], {
      env: { ...process.env, KUBECONFIG: kubeconfig },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface(watch.stdout)[Symbol.asyncIterator]()
    const first = lines.next()
    // Nothing says when the watch stands: until it does, nothing is seen.
    const touch = setInterval(() => void run(['label', '--overwrite', 'cm', 'one', `at=${Date.now()}`]), 200)
    assert.match(String((await first).value), /^MODIFIED +one +1/)
    clearInterval(touch)
    watch.kill()
    await once(watch, 'close')
  })

  it('explain, with descriptions, and --recursive', async () => {
    assert.match(await k('explain deployment.spec.strategy'), /KIND: +Deployment[^]*DESCRIPTION:\n +\S[^]*rollingUpdate/)
    const whole = await k('explain pod --recursive')
    assert.match(whole, /ephemeralContainers[^]*livenessProbe[^]*hostIP/)
    assert.ok(whole.split('\n').length > 700, 'all fields of a pod')
    assert.match(await k('explain cronjobs.spec.jobTemplate.spec'), /backoffLimit/)
    assert.match(await k('explain hpa --api-version=autoscaling/v1'), /VERSION: +(autoscaling\/)?v1/)
    assert.match(await fails('explain pod.nonsense'), /field "nonsense" does not exist/)
  })

  it('api-resources, api-versions, version, cluster-info', async () => {
    assert.match(await k('api-resources'), /^configmaps +cm +v1 +true +ConfigMap$/m)
    assert.match(
      await k('api-resources -o wide --api-group=apps'),
      /deployments +deploy +apps\/v1 +true +Deployment +create,delete,deletecollection/,
    )
    assert.match(await k('api-resources --verbs=list,watch --namespaced=false -o name'), /^nodes$/m)
    assert.match(await k('api-versions'), /^apps\/v1$/m)
    assert.match(await k('version'), /Server Version: .*v1\.33/)
    assert.match(await k('cluster-info'), /Kubernetes control plane.* is running at/)
    assert.match(await k(`cluster-info dump --namespaces ${namespace}`), /"kind": "(ConfigMap|Event|Pod|Service)List"/)
  })

  it('auth can-i, for oneself and for others; whoami', async () => {
    assert.match(await k('auth can-i create pods'), /^yes/)
    assert.match(await k('auth can-i --list'), /\*\.\* +\[\] +\[\] +\[\*\]/)
    const robot = `--as=system:serviceaccount:${namespace}:robot`
    const asked = await run(words(`auth can-i delete pods ${robot}`))
    assert.deepEqual([asked.code, asked.stdout.trim()], [1, 'no'])
    await k(`create rolebinding robots --role=reader --serviceaccount=${namespace}:robot`)
    await eventually(async () => assert.match(await k(`auth can-i list pods ${robot}`), /^yes/))
    assert.match(await k(`auth can-i get pods --subresource=log ${robot}`), /^yes/)
    assert.match(await k(`auth can-i --list ${robot}`), /pods\/log +\[\] +\[\] +\[get list\]/)
    assert.match(await fails(`get configmap ${robot}`), /is forbidden: User "system:serviceaccount:.*" cannot list resource "configmaps"/)
    assert.equal(await k(`get pods -o name --field-selector=metadata.name=none ${robot}`), '')
    assert.match(await k('auth whoami'), /Username/)
    assert.match(
      await k(
        'auth reconcile -f -',
        `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: ${namespace}}\nrules: [{apiGroups: [""], resources: [pods, services], verbs: [get, list]}]\n`,
      ),
      /reconciled/,
    )
  })

  it('create token, and using it', async () => {
    const token = (await k('create token robot --duration=10m')).trim()
    const server = (await k('config view --minify -o jsonpath={.clusters[0].cluster.server}')).trim()
    const config = join(folder, `config-${namespace}`)
    await writeFile(config, '')
    const asRobot = (...args: string[]) =>
      attempt(program.program, [`--kubeconfig=${config}`, `--server=${server}`, '--insecure-skip-tls-verify', `--token=${token}`, ...args])
    assert.equal((await asRobot('-n', namespace, 'get', 'pods')).code, 0)
    assert.match((await asRobot('-n', namespace, 'get', 'secrets')).stderr, /Forbidden/)
    const bad = await attempt(program.program, [
      `--kubeconfig=${config}`,
      `--server=${server}`,
      '--insecure-skip-tls-verify',
      '--token=nonsense',
      'get',
      'pods',
    ])
    assert.match(bad.stderr, /Unauthorized|must be logged in/)
    assert.match(await fails('create token robot --duration=1m'), /10 minutes|may not specify a duration less/)
    await k('create secret generic bound')
    assert.match(await k('create token robot --bound-object-kind=Secret --bound-object-name=bound'), /^ey/)
  })

  it('certificate approve and deny', async () => {
    const { stdout: pem } = await attempt('openssl', [
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      '/dev/null',
      '-subj',
      '/CN=jane',
    ])
    const request = (name: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: ${name}-${namespace} }
spec: { request: ${Buffer.from(pem).toString('base64')}, signerName: example.com/signer, usages: [client auth] }
`
    await k('create -f -', request('good'))
    await k('create -f -', request('bad'))
    assert.match(await k(`certificate approve good-${namespace}`), /approved/)
    assert.match(await k(`certificate deny bad-${namespace}`), /denied/)
    assert.match(await k(`get csr good-${namespace}`), /Approved/)
    assert.match(await fails(`certificate deny good-${namespace}`), /./)
    await k(`delete csr good-${namespace} bad-${namespace}`)
  })

  it('describe, of everything there is', async () => {
    const shown = await k('describe deploy,cm,secret,sa,service,role,rolebinding')
    assert.match(shown, /Name: +web\n[^]*Replicas:/)
    assert.match(await k(`describe namespace ${namespace}`), /Status: +Active/)
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

  it('delete: by name, file, selector, all; cascading; raw; and what is not there', async () => {
    await k('delete configmap shared --wait=false')
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
    assert.match((await run(['get', 'all,cm,sa'])).stderr, /No resources found/)
  })
}

/** As a shell would split it: blanks part, quotes keep together. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:[^\s'"]|'[^']*'|"[^"]*")+/g)].map(([word]) =>
    /^['{[]|=["']/.test(word) || word.startsWith('"') ? unquoted(word) : word,
  )
}

const unquoted = (word: string): string =>
  word.replace(/'([^']*)'|"([^"]*)"/g, (_, single?: string, double?: string) => single ?? double ?? '')
