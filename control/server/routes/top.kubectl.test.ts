// `kubectl top`, oldest and newest, over an agent that tells what is used.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { APIService, Node, Pod } from '#api/kinds/index.ts'
import { here } from '../testing/dial.fake.ts'
import { found, type Kubectl, type KubectlServer, kubectlServer } from '../testing/kubectl.fake.ts'

const megabyte = 1024 * 1024

describe('kubectl top', { skip: found.length === 0 && 'there is none on this machine' }, () => {
  let own: KubectlServer
  let agent: Server
  let asked = 0
  const kubectls: Kubectl[] = []
  const pods: { podRef: object; containers: { name: string; cores: number; memory: number }[] }[] = []
  /** As if it had used so many cores since it started. */
  const stats = (cores: number, memory: number) => ({
    cpu: { usageCoreNanoSeconds: Math.round(performance.now() * 1e6 * cores) },
    memory: { workingSetBytes: memory },
  })

  before(async () => {
    own = await kubectlServer({})
    const { pki } = own
    const serving = await pki.agents.authority.issue({ commonName: 'n1', usage: 'server', hosts: ['127.0.0.1'] })
    agent = createServer({ ...serving, ca: pki.agents.authority.cert, requestCert: true }, (incoming, outgoing) => {
      assert.equal(incoming.url, '/stats/summary')
      asked += 1
      const told = pods.map(({ podRef, containers }) => ({
        podRef,
        containers: containers.map(({ name, cores, memory }) => ({ name, ...stats(cores, memory) })),
      }))
      outgoing.end(JSON.stringify({ node: stats(0.5, 400 * megabyte), pods: told }))
    })
    await once(agent.listen(0, '127.0.0.1'), 'listening')
    const client = own.server.client()
    for (const name of ['n1', 'gone']) {
      const node = await client.create(Node, { metadata: { name, labels: { name } } })
      const port = name === 'n1' ? (agent.address() as AddressInfo).port : 1
      const status = {
        ...node.status,
        addresses: [{ type: 'InternalIP' as const, address: here }],
        daemonEndpoints: { kubeletEndpoint: { Port: port } },
        capacity: { cpu: '2', memory: '800Mi' },
        allocatable: { cpu: '2', memory: '800Mi' },
      }
      await client.update(Node, { ...node, status }, { subresource: 'status' })
    }
    for (const [i, program] of found.entries()) kubectls.push(await own.kubectl(program, `top-${i}`))
    for (const { namespace } of kubectls) {
      for (const [name, cores] of [
        ['small', 0.1],
        ['large', 0.2],
      ] as const) {
        const spec = { nodeName: 'n1', containers: ['a', 'b'].map((container) => ({ name: container, image: 'x:1' })) }
        const pod = await client.create(Pod, { metadata: { namespace, name, labels: { size: name } }, spec })
        await client.update(Pod, { ...pod, status: { ...pod.status, phase: 'Running' } }, { subresource: 'status' })
        const containers = ['a', 'b'].map((container) => ({ name: container, cores, memory: 10 * megabyte }))
        pods.push({ podRef: { namespace, name, uid: pod.metadata.uid }, containers })
      }
    }
  })
  after(async () => {
    await own?.close()
    agent?.closeAllConnections()
    agent?.close()
  })

  for (const [i, program] of found.entries()) {
    it(program.split('/').at(-1) ?? '', async () => {
      const { run, namespace } = kubectls[i]!
      const rows = (text: string) =>
        text
          .trim()
          .split('\n')
          .map((line) => line.trim().split(/\s+/))
      const near = (text: string | undefined, wanted: number) => {
        const value = Number(text?.replace(/\D/g, ''))
        assert.ok(Math.abs(value - wanted) <= wanted * 0.15 + 1, `${text} is near ${wanted}`)
      }
      const listed = rows(await run('top', 'pods', '--no-headers', '--sort-by=cpu'))
      assert.deepEqual(
        listed.map(([name]) => name),
        ['large', 'small'],
      )
      near(listed[0]?.[1], 400)
      assert.equal(listed[0]?.[2], '20Mi')
      assert.deepEqual(
        rows(await run('top', 'pods', '--containers', '-l', 'size=small', '--no-headers')).map(([pod, name]) => `${pod}/${name}`),
        ['small/a', 'small/b'],
      )
      assert.ok((await run('top', 'pods', '-A')).includes(namespace))
      const [node] = rows(await run('top', 'nodes', 'n1', '--no-headers'))
      near(node?.[1], 500)
      assert.deepEqual(node?.slice(3), ['400Mi', '50%'])
      assert.ok(asked <= 4, `asked the agent ${asked} times`)
      assert.match(await run('top', 'nodes'), /gone +<unknown>|n1/)
      assert.match(await run('get', 'podmetrics.metrics.k8s.io'), /^NAME +CONTAINERS/i)
    })
  }

  it('asks another server once one has the group', async () => {
    const { run, fails } = await own.kubectl(found[0] ?? '', 'elsewhere')
    await own.server.client().create(APIService, {
      metadata: { name: 'v1beta1.metrics.k8s.io' },
      spec: {
        group: 'metrics.k8s.io',
        version: 'v1beta1',
        groupPriorityMinimum: 100,
        versionPriority: 100,
        service: { namespace: 'elsewhere', name: 'metrics-server' },
      },
    })
    assert.match(await fails('top', 'nodes'), /Metrics API not available|ServiceUnavailable|unable to handle/)
    assert.match(await fails('get', '--raw', '/apis/metrics.k8s.io/v1beta1/nodes'), /unable to handle the request/)
    await run('delete', 'apiservice', 'v1beta1.metrics.k8s.io')
    assert.match(await run('get', '--raw', '/apis/metrics.k8s.io/v1beta1/nodes'), /NodeMetricsList/)
  })
})
