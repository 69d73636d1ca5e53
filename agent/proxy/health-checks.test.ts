import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { silent } from '#api/log.ts'
import { Desired } from './desired.ts'
import { service, slice, tellWhole } from './fixtures.ts'
import { openHealthChecks } from './health-checks.ts'

/** One that is free now. */
const freePort = async (): Promise<number> => {
  const server = createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

test('a health check port tells how many endpoints are here', async (t) => {
  const checks = openHealthChecks({ log: silent })
  t.after(() => checks.close())
  const desired = new Desired({ nodeName: 'here', families: ['ip'] })
  const tell = tellWhole(desired)
  const port = await freePort()
  const web = service('web', '10.43.0.1', { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: port })
  const told = async (...told: Parameters<typeof tell>) => {
    tell(...told)
    desired.refresh()
    await checks.apply(desired.healthChecks)
    const response = await fetch(`http://127.0.0.1:${port}/healthz`)
    return [response.status, response.headers.get('x-load-balancing-endpoint-weight'), await response.json()]
  }
  const body = (localEndpoints: number) => ({ service: { namespace: 'default', name: 'web' }, localEndpoints, serviceProxyHealthy: true })
  const here = (address: string, more = {}) => ({ addresses: [address], nodeName: 'here', ...more })
  const draining = here('10.42.0.4', { conditions: { ready: false, serving: true, terminating: true } })
  assert.deepEqual(await told([web], [slice('web', ['10.42.0.9', draining])]), [503, '0', body(0)])
  assert.deepEqual(await told([web], [slice('web', [here('10.42.0.2'), here('10.42.0.3'), '10.42.0.9'])]), [200, '2', body(2)])
  await assert.rejects(told([service('web', '10.43.0.1', { type: 'LoadBalancer' })], []), TypeError)
})
