// Names on a cluster: what people set in kube-system/coracle-dns, and that answers go on while the server is away.

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { decode, encode } from 'dns-packet'
import { killServer, startServer } from './cluster/cluster.ts'
import { atEnd } from './cluster/ending.ts'
import { eventually } from './cluster/eventually.ts'
import { testCluster } from './cluster/fixture.ts'
import { attempt } from './cluster/shell.ts'

const { plan, kubectl } = await testCluster({ nodes: 1 })
const clusterDNS = await kubectl('get', 'service', '-n', 'kube-system', 'kube-dns', '-o', 'jsonpath={.spec.clusterIP}')

const stub = createSocket('udp4')
stub.on('message', (message, from) => {
  const { id, questions } = decode(message)
  const name = questions?.[0]?.name ?? ''
  stub.send(
    encode({ type: 'response', id, questions, answers: [{ type: 'A', name, ttl: 1, data: '192.0.2.77' }] }),
    from.port,
    from.address,
  )
})
stub.bind(0, plan.server.address)
await once(stub, 'listening')
atEnd(() => void stub.close())

/** As the node has it, which is this host, and so its pods. */
const lookUp = async (name: string): Promise<string> => {
  const { stdout } = await attempt('dig', [`@${clusterDNS}`, '+short', '+time=1', '+tries=1', ...name.split(' ')])
  return stdout.trim()
}

const settings = (data: Record<string, string>) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'coracle-dns', namespace: 'kube-system' }, data })
const apply = async (yaml: string) => {
  const { code, stderr } = await kubectl.attempt(['apply', '-f', '-'], yaml)
  assert.equal(code, 0, stderr)
}

test('hosts and stub domains by ConfigMap, changed and taken back; what is wrong is an event on it', async () => {
  const server = `${plan.server.address}#${stub.address().port}`
  await apply(
    settings({
      hosts: '192.0.2.10 printer.example printer\n# nobody\n',
      stubDomains: JSON.stringify({ 'factory.example': [server], 'bad.example': ['not-an-address'] }),
    }),
  )
  await eventually(async () => assert.equal(await lookUp('printer.example'), '192.0.2.10'))
  assert.equal(await lookUp('-x 192.0.2.10'), 'printer.example.\nprinter.')
  assert.equal(await lookUp('plc-7.factory.example'), '192.0.2.77')
  await eventually(async () =>
    assert.match(
      await kubectl('get', 'events', '-n', 'kube-system'),
      /InvalidNameServerSettings +configmap\/coracle-dns +node node-1: stubDomains: bad\.example: not-an-address is not address/,
    ),
  )
  await apply(settings({ hosts: '192.0.2.11 printer.example' }))
  await eventually(async () => assert.equal(await lookUp('printer.example'), '192.0.2.11'))
  assert.match(await kubectl('get', '--raw', '/api/v1/nodes/node-1/proxy/metrics'), /coracle_dns_answers_total\{source="hosts"\} [1-9]/)
})

test('services are answered, and what people have set, while the server is away', async () => {
  await apply(settings({ hosts: '192.0.2.12 printer.example' }))
  await kubectl('create', 'service', 'clusterip', 'web', '--tcp=80')
  const address = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}')
  const check = async () => {
    assert.equal(await lookUp('web.default.svc.cluster.local'), address)
    assert.equal(await lookUp('printer.example'), '192.0.2.12')
  }
  await eventually(check)
  await killServer(plan)
  await check()
  await startServer(plan)
  await eventually(() => kubectl('delete', 'configmap', '-n', 'kube-system', 'coracle-dns'))
  await eventually(async () => assert.equal(await lookUp('printer.example'), ''))
  assert.equal(await lookUp('web.default.svc.cluster.local'), address)
})
