// StatefulSets, DaemonSets and a ReplicationController with real containers, as a user steers them: by the oldest and the
// newest kubectl.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { withEachKubectl } from './conformance/kubectl.ts'

const cluster = await testCluster({ nodes: 2, slot: 2 })
const { kubeconfig } = cluster.plan
const kubectls = cluster.kubectls.filter(({ program }) => /kubectl\.1\.\d+$/.test(program))

const container = `{ name: main, image: "busybox:1.35", imagePullPolicy: Never, command: [sh, -c, "echo up as $(hostname); sleep 1000"] }`
const template = (app: string) => `
    metadata: { labels: { app: ${app} } }
    spec: { terminationGracePeriodSeconds: 0, containers: [${container}] }`
const workloads = `
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: None, selector: { app: db }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  replicas: 2
  serviceName: db
  selector: { matchLabels: { app: db } }
  template:${template('db')}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: log }
spec:
  selector: { matchLabels: { app: log } }
  template:${template('log')}
---
apiVersion: v1
kind: ReplicationController
metadata: { name: old }
spec:
  replicas: 1
  selector: { app: old }
  template:${template('old')}
`

withEachKubectl(
  { kubectls, kubeconfig },
  'workloads',
  ({ k, fails, json, namespace }) => {
    const both = ['statefulset/db', 'daemonset/log']
    const rolledOut = async () => {
      for (const each of both) await k(`rollout status ${each} --timeout=60s`)
    }
    const names = async (app: string) =>
      (await k(`get pods -l app=${app} -o jsonpath={.items[*].metadata.name}`)).split(' ').filter(Boolean).sort()
    const variable = (pod: string) => k(`exec ${pod} -- sh -c 'echo $COLOUR'`)

    it('apply, rollout status, get', async () => {
      await k('apply -f -', workloads)
      await rolledOut()
      await k('apply -f -', workloads)
      assert.match(await k('get statefulset'), /^NAME +READY +AGE\ndb +2\/2 +\d+s/)
      assert.match(await k('get sts db -o wide'), /^NAME +READY +AGE +CONTAINERS +IMAGES\ndb +2\/2 +\S+ +main +busybox:1\.35/)
      assert.match(
        await k('get daemonset'),
        /^NAME +DESIRED +CURRENT +READY +UP-TO-DATE +AVAILABLE +NODE SELECTOR +AGE\nlog +2 +2 +2 +2 +2 +<none> +\d+s/,
      )
      await eventually(async () => assert.match(await k('get rc'), /^NAME +DESIRED +CURRENT +READY +AGE\nold +1 +1 +1 +\d+s/))
      assert.match(await k('get controllerrevisions'), /^daemonset\.apps\/log$|log-\S+ +daemonset\.apps\/log +1 /m)
    })

    it('a stateful set’s pods have their names, also by DNS; a daemon runs on each node', async () => {
      assert.deepEqual(await names('db'), ['db-0', 'db-1'])
      assert.equal((await k('exec db-1 -- hostname')).trim(), 'db-1')
      await eventually(async () => assert.match(await k(`exec db-0 -- nslookup db-1.db.${namespace}.svc.cluster.local`), /Address.*10\./))
      const nodes = (await k('get pods -l app=log -o jsonpath={.items[*].spec.nodeName}')).split(' ')
      assert.deepEqual(nodes.sort(), ['node-1', 'node-2'])
    })

    it('describe tells what was done', async () => {
      const db = await k('describe statefulset db')
      for (const part of [
        /Replicas: +2 desired \| 2 total/,
        /SuccessfulCreate +.*create Pod db-0 in StatefulSet db successful/,
        /Pods Status: +2 Running/,
      ])
        assert.match(db, part)
      const log = await k('describe daemonset log')
      for (const part of [
        /Desired Number of Nodes Scheduled: 2/,
        /Number of Nodes Misscheduled: 0/,
        /SuccessfulCreate +.*Created pod: log-/,
      ])
        assert.match(log, part)
      assert.match(await k('describe rc old'), /SuccessfulCreate +.*Created pod: old-/)
      assert.match(await k('describe pod db-0'), /Controlled By: +StatefulSet\/db/)
    })

    it('a change, its history, and undo', async () => {
      await k(`set env ${both.join(' ')} COLOUR=blue`)
      await rolledOut()
      const [daemon = ''] = await names('log')
      assert.deepEqual([await variable('db-0'), await variable('db-1'), await variable(daemon)], ['blue\n', 'blue\n', 'blue\n'])
      for (const each of both) {
        assert.match(await k(`rollout history ${each}`), /\n1 +.*\n2 /)
        assert.match(await k(`rollout history ${each} --revision=2`), /COLOUR:\s+blue/)
        assert.match(await k(`rollout undo ${each}`), /rolled back/)
      }
      await rolledOut()
      assert.doesNotMatch(await k('exec db-0 -- env'), /COLOUR/)
      for (const each of both) {
        assert.match(await k(`rollout history ${each}`), /\n2 +.*\n3 /)
        assert.match(await fails(`rollout pause ${each}`), /pausing is not supported/)
        assert.match(await k(`rollout undo ${each} --to-revision=2`), /rolled back/)
      }
      await rolledOut()
      assert.equal(await variable('db-0'), 'blue\n')
    })

    it('restart', async () => {
      const before = await json('get pods -l app!=old')
      for (const each of both) assert.match(await k(`rollout restart ${each}`), /restarted/)
      await rolledOut()
      const after = await json('get pods -l app!=old')
      const uids = new Set(before.items.map((pod: { metadata: { uid: string } }) => pod.metadata.uid))
      assert.ok(after.items.every((pod: { metadata: { uid: string } }) => !uids.has(pod.metadata.uid)))
    })

    it('scale: up in order, down from the highest', async () => {
      await k('scale statefulset/db --replicas=3')
      await k('rollout status statefulset/db --timeout=60s')
      assert.deepEqual(await names('db'), ['db-0', 'db-1', 'db-2'])
      await k('scale statefulset/db --replicas=2')
      await eventually(async () => assert.deepEqual(await names('db'), ['db-0', 'db-1']))
      await k('scale rc/old --replicas=2')
      await eventually(async () => assert.match(await k('get rc old'), /old +2 +2 +2 /))
    })

    it('a template that cannot start stops at one pod, and the next mends it', async () => {
      await k('set image statefulset/db daemonset/log main=busybox:nowhere')
      await eventually(async () => {
        const waiting = await k('get pods -o jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}')
        assert.equal(waiting, 'ErrImageNeverPull ErrImageNeverPull')
      })
      assert.match(await k('get pods -l app=db'), /db-0 +1\/1 +Running/)
      await k('set image statefulset/db daemonset/log main=busybox:1.35')
      await rolledOut()
    })

    it('drain moves a stateful set’s pod by its name, and leaves daemons where they are', async () => {
      const node = (await json('get pod db-0')).spec.nodeName as string
      const other = node === 'node-1' ? 'node-2' : 'node-1'
      assert.match(await fails(`drain ${node} --pod-selector=app=log`), /DaemonSet-managed/)
      await k(`drain ${node} --ignore-daemonsets --force --timeout=60s`)
      await eventually(async () => assert.equal((await json('get pod db-0')).spec.nodeName, other))
      assert.equal((await names('log')).length, 2)
      await k(`uncordon ${node}`)
      await k('rollout status statefulset/db --timeout=60s')
    })

    it('deleted with its pods, or without', async () => {
      await k('delete statefulset db --cascade=orphan')
      assert.deepEqual(await names('db'), ['db-0', 'db-1'])
      await k('apply -f -', workloads)
      await eventually(async () => assert.equal((await json('get pod db-0')).metadata.ownerReferences?.[0]?.name, 'db'))
      await k('delete statefulset/db daemonset/log rc/old')
      await eventually(async () => assert.equal((await json('get pods')).items.length, 0))
      assert.equal((await json('get controllerrevisions')).items.length, 0)
    })
  },
  false,
)
