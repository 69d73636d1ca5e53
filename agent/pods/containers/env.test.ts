import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Secret, Service } from '#api/types/core-v1.gen.ts'
import { credentialsFor } from './credentials.ts'
import { expand } from './expand.ts'
import { serviceEnv } from './service-env.ts'

test('$(NAME) is replaced where it is known', () => {
  const known = (name: string) => ({ A: '1', B: '$(A)' })[name]
  assert.equal(expand('$(A)-$(B)-$(C)', known), '1-$(A)-$(C)')
  assert.equal(expand('$$(A) $$$(A) $A $( $(A', known), '$(A) $1 $A $( $(A')
})

const service = (namespace: string, name: string, spec: Service['spec']): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace, uid: name, resourceVersion: '1' },
  spec,
  status: { loadBalancer: {} },
})

test('services of the namespace, and the master always', () => {
  const services = [
    service('default', 'kubernetes', { clusterIP: '10.43.0.1', ports: [{ name: 'https', port: 443, protocol: 'TCP' }] }),
    service('shop', 'my-db', { clusterIP: '10.43.0.7', ports: [{ port: 53, protocol: 'UDP' }] }),
    service('shop', 'headless', { clusterIP: 'None', ports: [{ port: 1 }] }),
    service('other', 'theirs', { clusterIP: '10.43.0.8', ports: [{ port: 1 }] }),
  ]
  assert.deepEqual(Object.fromEntries(serviceEnv(services, 'shop', true)), {
    KUBERNETES_SERVICE_HOST: '10.43.0.1',
    KUBERNETES_SERVICE_PORT: '443',
    KUBERNETES_SERVICE_PORT_HTTPS: '443',
    KUBERNETES_PORT: 'tcp://10.43.0.1:443',
    KUBERNETES_PORT_443_TCP: 'tcp://10.43.0.1:443',
    KUBERNETES_PORT_443_TCP_PROTO: 'tcp',
    KUBERNETES_PORT_443_TCP_PORT: '443',
    KUBERNETES_PORT_443_TCP_ADDR: '10.43.0.1',
    MY_DB_SERVICE_HOST: '10.43.0.7',
    MY_DB_SERVICE_PORT: '53',
    MY_DB_PORT: 'udp://10.43.0.7:53',
    MY_DB_PORT_53_UDP: 'udp://10.43.0.7:53',
    MY_DB_PORT_53_UDP_PROTO: 'udp',
    MY_DB_PORT_53_UDP_PORT: '53',
    MY_DB_PORT_53_UDP_ADDR: '10.43.0.7',
  })
  assert.deepEqual(
    [...serviceEnv(services, 'shop', false).keys()].filter((name) => !name.startsWith('KUBERNETES')),
    [],
  )
})

test('credentials for a registry, the most specific first', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const secret = (auths: object): Secret =>
    ({ type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': base64(JSON.stringify({ auths })) } }) as unknown as Secret
  const secrets = [
    secret({ 'https://index.docker.io/v1/': { auth: base64('hub:a:b') }, 'reg:5000': { username: 'u', password: 'p' } }),
    secret({ 'reg:5000/team': { username: 'team', password: 'q' } }),
    { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': 'not json' } } as unknown as Secret,
  ]
  assert.deepEqual(credentialsFor('busybox', secrets), [{ username: 'hub', password: 'a:b' }])
  assert.deepEqual(credentialsFor('reg:5000/team/app:1', secrets), [
    { username: 'team', password: 'q' },
    { username: 'u', password: 'p' },
  ])
  assert.deepEqual(credentialsFor('reg:5000/teams/app:1', secrets), [{ username: 'u', password: 'p' }])
  assert.deepEqual(credentialsFor('other.org/app', secrets), [])
})
