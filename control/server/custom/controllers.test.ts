// What the controllers do with kinds that come and go: the garbage collector and the end of namespaces.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { parseCidrs } from '#api/cidr.ts'
import { ConfigMap, Namespace } from '#api/kinds/index.ts'
import type { Kind, KubeObject } from '#api/kinds/kind.ts'
import { silent } from '#api/log.ts'
import { startControllers } from '#control/controllers/index.ts'
import { podRanges } from '#control/controllers/node/cidr.ts'
import { type Trial, trial } from '../testing/trial.fake.ts'
import { definition, definitions, establish, until } from './resources.fake.ts'

const widgets = '/apis/example.com/v1/namespaces/test/widgets'
const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

describe('controllers and custom resources', () => {
  let server: Trial
  let running: Promise<void>
  const stop = new AbortController()
  const complaints: string[] = []
  before(async () => {
    server = await trial()
    const complain = (_: object, message: string) => void complaints.push(message)
    const log = { ...silent, warn: complain, error: complain }
    running = startControllers({
      client: server.client,
      log,
      clock: server.clock,
      signal: stop.signal,
      ca: 'CA',
      podRanges: podRanges(parseCidrs('10.42.0.0/16')!, { IPv4: 24, IPv6: 64 }),
    })
    await establish(server, definition('widgets', { schema }))
  })
  after(async () => {
    stop.abort()
    await running
    await server.close()
  })

  /** Resolves once the object is gone; time moves meanwhile. */
  const gone = async (kind: Kind, name: string, namespace?: string) => {
    for (let i = 0; i < 200; i += 1) {
      if (!(await server.client.find<KubeObject>(kind, { name, ...(namespace && { namespace }) }))) return
      await server.clock.advance(300)
    }
    assert.fail(`${kind.kind} ${name} is still there`)
  }
  const owned = async (name: string, uid: string) => {
    const ownerReferences = [{ apiVersion: 'example.com/v1', kind: 'Widget', name, uid }]
    await server.client.create(ConfigMap, { metadata: { name: `of-${name}`, namespace: 'test', ownerReferences } })
  }

  it('what a custom object owns goes with it', async () => {
    const { body } = await server.ask('POST', widgets, { metadata: { name: 'owner' } })
    await owned('owner', body.metadata.uid)
    await server.clock.advance(1000)
    assert.ok(await server.client.find(ConfigMap, { name: 'of-owner', namespace: 'test' }))
    await server.ask('DELETE', `${widgets}/owner`)
    await gone(ConfigMap, 'of-owner', 'test')
  })

  it('a version that is served no more takes nothing with it', async () => {
    const version = (name: string, rest: object) => ({ name, served: true, storage: false, schema: { openAPIV3Schema: schema }, ...rest })
    await establish(server, definition('widgets', { versions: [version('v1', { storage: true }), version('v2', {})] }))
    const { body } = await server.ask('POST', widgets, { metadata: { name: 'moved' } })
    await owned('moved', body.metadata.uid)
    await server.clock.advance(1000)
    await establish(server, definition('widgets', { versions: [version('v1', { served: false }), version('v2', { storage: true })] }))
    for (let i = 0; i < 20; i += 1) await server.clock.advance(5000)
    assert.ok(await server.client.find(ConfigMap, { name: 'of-moved', namespace: 'test' }))
    await server.ask('DELETE', `${widgets.replace('v1', 'v2')}/moved`)
    await gone(ConfigMap, 'of-moved', 'test')
  })

  it('a namespace ends with the custom objects in it', async () => {
    await server.client.create(Namespace, { metadata: { name: 'short' } })
    const path = '/apis/example.com/v2/namespaces/short/widgets'
    assert.equal((await server.ask('POST', path, { metadata: { name: 'a' } })).code, 201)
    await server.client.delete(Namespace, { name: 'short' })
    await gone(Namespace, 'short')
    assert.deepEqual((await server.ask('GET', path)).body.items, [])
  })

  it('a definition that goes leaves nobody asking for its kind', async () => {
    await server.ask('DELETE', `${definitions}/widgets.example.com`)
    await until(server, 'widgets.example.com', (definition) => definition === undefined)
    for (let i = 0; i < 20; i += 1) await server.clock.advance(5000)
    assert.deepEqual(complaints, [])
  })
})
