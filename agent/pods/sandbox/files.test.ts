import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { hostnameOf, hostsFile, kernelHostname, resolvConf } from './files.ts'

const settings = {
  clusterDNS: ['10.43.0.10'],
  clusterDomain: 'cluster.local',
  host: 'domain lan\nsearch lan example.org\nnameserver 192.168.0.1\noptions edns0\n',
}

const podWith = (spec: Partial<Pod['spec']>, name = 'web-0'): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', uid: 'u', resourceVersion: '1' },
  spec: { containers: [], ...spec },
  status: {},
})

test('resolv.conf by DNS policy', () => {
  const cluster = 'search shop.svc.cluster.local svc.cluster.local cluster.local lan example.org\nnameserver 10.43.0.10\noptions ndots:5\n'
  const host = 'search lan example.org\nnameserver 192.168.0.1\noptions edns0\n'
  assert.equal(resolvConf(podWith({}), settings), cluster)
  assert.equal(resolvConf(podWith({ hostNetwork: true }), settings), host)
  assert.equal(resolvConf(podWith({ hostNetwork: true, dnsPolicy: 'ClusterFirstWithHostNet' }), settings), cluster)
  assert.equal(resolvConf(podWith({ dnsPolicy: 'Default' }), settings), host)
  assert.equal(resolvConf(podWith({ dnsPolicy: 'None', dnsConfig: { nameservers: ['9.9.9.9'] } }), settings), 'nameserver 9.9.9.9\n')
})

test('dnsConfig adds to the policy and wins over its options', () => {
  const dnsConfig = {
    nameservers: ['10.43.0.10', '1.1.1.1', '2.2.2.2', '3.3.3.3'],
    searches: ['svc.cluster.local', 'more.org'],
    options: [{ name: 'ndots', value: '2' }, { name: 'rotate' }],
  }
  assert.equal(
    resolvConf(podWith({ dnsConfig }), { ...settings, host: '' }),
    [
      'search shop.svc.cluster.local svc.cluster.local cluster.local more.org',
      'nameserver 10.43.0.10',
      'nameserver 1.1.1.1',
      'nameserver 2.2.2.2',
      'options ndots:2 rotate',
      '',
    ].join('\n'),
  )
})

test('/etc/hosts names the pod, and adds aliases', () => {
  const pod = podWith({ subdomain: 'db', hostAliases: [{ ip: '1.2.3.4', hostnames: ['a', 'b'] }] })
  const lines = hostsFile(pod, ['10.42.0.9'], 'cluster.local').split('\n')
  assert.ok(lines.includes('10.42.0.9\tweb-0.db.shop.svc.cluster.local\tweb-0'))
  assert.deepEqual(lines.slice(-4), ['', '# Entries added by HostAliases.', '1.2.3.4\ta\tb', ''])
  const ofHost = hostsFile(podWith({ hostNetwork: true }), ['10.0.0.1'], 'cluster.local', '127.0.0.1 localhost\n')
  assert.equal(ofHost, '# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n')
})

test('host names fit the kernel', () => {
  assert.equal(hostnameOf(podWith({}, `${'a'.repeat(62)}-b`)), 'a'.repeat(62))
  assert.equal(hostnameOf(podWith({ hostname: 'mine' })), 'mine')
  assert.equal(kernelHostname(podWith({ subdomain: 'db', setHostnameAsFQDN: true }), 'cluster.local'), 'web-0.db.shop.svc.cluster.local')
  assert.equal(kernelHostname(podWith({ subdomain: 'd'.repeat(50), setHostnameAsFQDN: true }), 'cluster.local'), 'web-0')
})
