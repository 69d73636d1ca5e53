// kubectl on running pods, oldest and newest: look inside, copy, connect, debug, move them away.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { it } from 'node:test'
import { eventually } from '../cluster/eventually.ts'
import { testCluster } from '../cluster/fixture.ts'
import { withEachKubectl } from './kubectl.ts'

const cluster = await testCluster({ nodes: 2, slot: 3 })
const { kubeconfig } = cluster.plan
const kubectls = cluster.kubectls.filter(({ program }) => /kubectl\.1\.\d+$/.test(program))

const pod = (name: string, script: string, labels = '') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { ${labels} } }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: main, image: "busybox:1.35", stdin: true, command: [sh, -c, '${script}'] }]
`
const kept = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: kept }
spec:
  replicas: 2
  selector: { matchLabels: { app: kept } }
  template:
    metadata: { labels: { app: kept } }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: main, image: "busybox:1.35", command: [sleep, "1000"] }] }
`
const web = 'mkdir /w; echo hello > /w/index.html; httpd -p 80 -h /w; echo serving; while read line; do echo "read $line"; done; sleep 1000'

withEachKubectl(
  { kubectls, kubeconfig },
  'pods',
  ({ k, fails, run, json, file, program, namespace }) => {
    const child = (...args: string[]): ChildProcess =>
      spawn(program, ['-n', namespace, ...args], { env: { ...process.env, KUBECONFIG: kubeconfig }, stdio: ['pipe', 'pipe', 'pipe'] })
    const until = (process: ChildProcess, pattern: RegExp): Promise<string> =>
      new Promise((resolve, reject) => {
        let text = ''
        const take = (chunk: Buffer) => {
          text += chunk.toString()
          if (pattern.test(text)) resolve(text)
        }
        process.stdout?.on('data', take)
        process.stderr?.on('data', take)
        process.once('exit', (code) => reject(new Error(`it ended with ${code} and said: ${text}`)))
      })

    it('run, get, describe, logs, events', async () => {
      await k('apply -f -', pod('web', web, 'app: web'))
      await k('wait --for=condition=Ready pod/web --timeout=30s')
      assert.match(await k('get pod web -o wide'), /^web +1\/1 +Running +0 +\S+ +10\.\S+ +node-\d/m)
      await eventually(async () => assert.equal(await k('logs web'), 'serving\n'))
      assert.match(await k('logs web --timestamps --tail=1'), /^\d{4}-\d\d-\d\dT\S+ serving\n$/)
      assert.match(await k('logs -l app=web --prefix'), /\[pod\/web\/main\] serving/)
      assert.match(await k('describe pod web'), /Status: +Running[^]*Scheduled[^]*Started/)
      assert.match(await k('events --for pod/web'), /Normal +Scheduled[^]*Normal +Started/)
      assert.match(await k('get events --field-selector involvedObject.name=web'), /Started/)
      assert.equal(await k('run once --image=busybox:1.35 --restart=Never --rm -i --quiet -- echo from inside'), 'from inside\n')
    })

    it('exec: output, input, exit code, several containers', async () => {
      assert.equal(await k('exec web -- cat /w/index.html'), 'hello\n')
      assert.equal((await run('exec web -- sh -c "exit 7"')).code, 7)
      const cat = await run('exec -i web -- cat', { input: 'x'.repeat(300_000) })
      assert.equal(cat.stdout.length, 300_000)
      assert.match(await fails('exec web -c none -- true'), /container (not found|none is not valid)/)
      assert.match(await fails('exec absent -- true'), /pods "absent" not found/)
    })

    it('cp, both ways, files and folders', async () => {
      const from = await file('from', 'copied\n')
      const big = await file('big', 'y'.repeat(3_000_000))
      await k(`cp ${from} web:/tmp/to`)
      assert.equal(await k('exec web -- cat /tmp/to'), 'copied\n')
      await k(`cp ${big} web:/tmp/big`)
      await k(`cp web:/tmp/big ${big}.back`)
      assert.equal(await readFile(`${big}.back`, 'utf8'), await readFile(big, 'utf8'))
      await k(`cp web:/w ${from}-folder`)
      assert.equal(await readFile(`${from}-folder/index.html`, 'utf8'), 'hello\n')
    })

    it('port-forward to a pod and to a service', async () => {
      await k('expose pod web --port=8080 --target-port=80')
      for (const [what, port] of [
        ['pod/web', 80],
        ['service/web', 8080],
      ] as const) {
        const forward = child('port-forward', what, `:${port}`)
        const said = await until(forward, /Forwarding from 127\.0\.0\.1:\d+/)
        const local = /127\.0\.0\.1:(\d+)/.exec(said)?.[1]
        const texts = await Promise.all([1, 2, 3].map(async () => (await fetch(`http://127.0.0.1:${local}/`)).text()))
        assert.deepEqual(texts, ['hello\n', 'hello\n', 'hello\n'])
        forward.kill()
        await once(forward, 'close')
      }
    })

    it('the proxies of the server: to a pod, to a service, to a node', async () => {
      assert.equal(await k(`get --raw /api/v1/namespaces/${namespace}/pods/web:80/proxy/index.html`), 'hello\n')
      await eventually(async () => assert.equal(await k(`get --raw /api/v1/namespaces/${namespace}/services/web:8080/proxy/`), 'hello\n'))
      const { spec } = await json('get pod web')
      assert.match(await k(`get --raw /api/v1/nodes/${spec.nodeName}/proxy/healthz`), /ok/)
      const proxy = child('proxy', '--port=0')
      const port = /127\.0\.0\.1:(\d+)/.exec(await until(proxy, /Starting to serve/))?.[1]
      const { items } = (await (await fetch(`http://127.0.0.1:${port}/api/v1/namespaces/${namespace}/pods`)).json()) as { items: object[] }
      assert.equal(items.length, 1)
      proxy.kill()
      await once(proxy, 'close')
    })

    it('attach: what is typed goes in, what it says comes out', async () => {
      const attached = child('attach', '-i', 'web')
      attached.stdin?.write('typed\n')
      await until(attached, /read typed\n/)
      attached.kill()
      await once(attached, 'close')
      assert.match(await k('logs web'), /read typed/)
    })

    it('debug: a container beside the others, a copy, and a pod on the node', async () => {
      await k('debug web --image=busybox:1.35 --container=helper -- sleep 1000')
      await eventually(async () =>
        assert.equal((await json('get pod web')).status.ephemeralContainerStatuses?.[0].state.running !== undefined, true),
      )
      assert.equal(await k('exec web -c helper -- wget -qO- http://127.0.0.1/'), 'hello\n')
      assert.match(await k('describe pod web'), /Ephemeral Containers:\n +helper:/)
      await k('debug web --copy-to=copy --container=main --image=busybox:1.35 -- sleep 1000')
      await k('wait --for=condition=Ready pod/copy --timeout=30s')
      assert.match(await k('exec copy -- hostname'), /copy/)
      const { spec } = await json('get pod web')
      const made = await k(`debug node/${spec.nodeName} --image=busybox:1.35 -- chroot /host /bin/sh -c "echo on the host"`)
      const name = /pod (\S+) with container/.exec(made)?.[1] ?? ''
      await eventually(async () => assert.equal(await k(`logs ${name}`), 'on the host\n'))
      await k(`delete pod copy ${name} --now`)
    })

    it('patch of the status, wait for a value', async () => {
      await k(
        `patch pod web --subresource=status --type=strategic -p '{"status":{"conditions":[{"type":"example.com/Gate","status":"True"}]}}'`,
      )
      await k('wait pod/web --for=condition=example.com/Gate --timeout=10s')
      await k(`wait pod/web --for=jsonpath={.status.phase}=Running --timeout=10s`)
      assert.match(
        await fails(`patch pod web -p '{"spec":{"containers":[{"name":"main","command":["other"]}]}}'`),
        /pod updates may not change fields/,
      )
    })

    it('resize: new limits for a container that runs on, and what cannot be had waits', async () => {
      const resources = (cpu: string, memory: string) => ({ requests: { cpu: '50m', memory: '32Mi' }, limits: { cpu, memory } })
      const sized = pod('sized', 'sleep 1000').replace(
        'name: main,',
        `name: main, resources: ${JSON.stringify(resources('200m', '64Mi'))},`,
      )
      await k('apply -f -', sized)
      await k('wait --for=condition=Ready pod/sized --timeout=30s')
      const path = `/api/v1/namespaces/${namespace}/pods/sized/resize`
      const resize = async (change: (container: { resources: object }) => void) => {
        const object = await json('get pod sized')
        change(object.spec.containers[0])
        delete object.metadata.resourceVersion
        // Only a newer kubectl knows `patch --subresource=resize`.
        if (!/1\.3[2-9]$/.test(program)) return await k(`replace --raw ${path} -f -`, JSON.stringify(object))
        const patch = { spec: { containers: [{ name: 'main', resources: object.spec.containers[0].resources }] } }
        return await k(`patch pod sized --subresource=resize -p '${JSON.stringify(patch)}'`)
      }
      await resize((c) => (c.resources = resources('300m', '96Mi')))
      await k(`wait pod/sized --for=jsonpath={.status.containerStatuses[0].resources.limits.memory}=96Mi --timeout=20s`)
      const { status } = await json('get pod sized')
      assert.deepEqual([status.containerStatuses[0].restartCount, status.containerStatuses[0].resources], [0, resources('300m', '96Mi')])
      assert.ok(!status.conditions.some((c: { type: string }) => c.type.startsWith('PodResize')))
      const limit = await run('exec sized -- cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes')
      assert.match(limit.stdout, /^100663296$/m)
      await resize((c) => (c.resources = { requests: { cpu: '900', memory: '32Mi' }, limits: { cpu: '900', memory: '96Mi' } }))
      await k('wait pod/sized --for=condition=PodResizePending --timeout=20s')
      const { conditions } = (await json('get pod sized')).status
      assert.equal(conditions.find((c: { type: string }) => c.type === 'PodResizePending')?.reason, 'Infeasible')
      await k('delete pod sized --now')
    })

    it('drain: cordons, evicts within the budget, and uncordon takes it back', async () => {
      const node = (await json('get pod web')).spec.nodeName as string
      assert.match(
        await fails(`drain ${node} --ignore-daemonsets --pod-selector=app=web --timeout=5s`),
        /declare no controller|not managed/,
      )
      await k('apply -f -', kept)
      await k('rollout status deployment kept --timeout=40s')
      await k('create poddisruptionbudget kept --selector=app=kept --min-available=1')
      await eventually(async () => assert.equal((await json('get pdb kept')).status.disruptionsAllowed, 1))
      const drain = `drain ${node} --ignore-daemonsets --force --delete-emptydir-data --grace-period=1 --pod-selector=app=kept --timeout=60s`
      assert.match(await k(drain), new RegExp(`node/${node} drained`))
      assert.match(await k(`get node ${node}`), /SchedulingDisabled/)
      await eventually(async () => {
        const { items } = await json('get pod -l app=kept')
        assert.ok(items.every((p: { spec: { nodeName?: string } }) => p.spec.nodeName !== node))
      })
      await k(`uncordon ${node}`)
      assert.doesNotMatch(await k(`get node ${node}`), /SchedulingDisabled/)
      await k('delete deployment kept')
    })

    it('cluster-info dump writes what it finds', async () => {
      const folder = await file('dump', '')
      await writeFile(folder, '')
      await k(`cluster-info dump --namespaces ${namespace} --output-directory=${folder}.d`)
      assert.match(await readFile(`${folder}.d/nodes.json`, 'utf8'), /"node-2"/)
      assert.match(await readFile(`${folder}.d/${namespace}/web/logs.txt`, 'utf8'), /serving/)
    })

    it('delete: with grace, now, and the namespace with everything in it', async () => {
      await k('delete pod web --grace-period=1')
      await k('apply -f -', pod('last', 'sleep 1000'))
      await k('wait --for=condition=Ready pod/last --timeout=30s')
      await k('delete pod last --force --grace-period=0')
      await k(`delete namespace ${namespace} --timeout=40s`)
    })
  },
  false,
)
