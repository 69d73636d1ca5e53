import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, PodSecurityContext, SecurityContext } from '#api/types/core-v1.gen.ts'
import { checkUnsafeSysctls, type Isolation, refusal } from './isolation.ts'

const node: Isolation = {
  seccompDefault: true,
  seccompDir: '/seccomp',
  apparmor: false,
  unsafeSysctls: ['kernel.msg*', 'net.core.somaxconn'],
}

const pod = ({ annotations, ...spec }: Partial<Pod['spec']> & { annotations?: Record<string, string>; own?: SecurityContext }) =>
  ({ metadata: { annotations }, spec: { containers: [{ name: 'c', securityContext: spec.own }], ...spec } }) as unknown as Pod

const sysctl = (name: string, more: Partial<Pod['spec']> = {}) =>
  refusal(pod({ securityContext: { sysctls: [{ name, value: '1' }] }, ...more }), node)?.message

test('sysctls: the safe ones, what the node allows beside them, and none of the node', () => {
  for (const name of [
    'kernel.shm_rmid_forced',
    'net.ipv4.tcp_rmem',
    'net/ipv4/ping_group_range',
    'kernel.msgmax',
    'kernel/msgmnb',
    'net.core.somaxconn',
  ]) {
    assert.equal(sysctl(name), undefined, name)
  }
  for (const name of [
    'kernel.shmmax',
    'vm.swappiness',
    'kernel.core_pattern',
    'net.core.somaxconn2',
    'net.ipv4.ip_forward',
    'fs.mqueue.msg_max',
  ]) {
    assert.equal(sysctl(name), `forbidden sysctl: "${name}" not allowlisted`)
  }
  assert.equal(
    sysctl('net.ipv4.tcp_rmem', { hostNetwork: true }),
    'forbidden sysctl: "net.ipv4.tcp_rmem" not allowed with host net enabled',
  )
  assert.equal(sysctl('kernel.msgmax', { hostIPC: true }), 'forbidden sysctl: "kernel.msgmax" not allowed with host ipc enabled')
  checkUnsafeSysctls(['kernel.msg*', 'net.*', 'net/core/somaxconn', 'fs.mqueue.msg_max'])
  for (const pattern of ['*', 'vm.*', 'kernel.*', 'kernel.core_pattern', 'net.*.x']) {
    assert.throws(() => checkUnsafeSysctls([pattern]), /names no sysctl that a pod has of its own/, pattern)
  }
})

test('AppArmor is refused where the kernel lacks it, however it is asked for', () => {
  const message = 'Cannot enforce AppArmor: AppArmor is not enabled on the host'
  const annotation = (value: string) => ({ annotations: { 'container.apparmor.security.beta.kubernetes.io/c': value } })
  const localhost = { type: 'Localhost', localhostProfile: 'x' } as const
  const asked = [
    { own: { appArmorProfile: { type: 'RuntimeDefault' } } },
    { securityContext: { appArmorProfile: localhost } as PodSecurityContext },
    annotation('runtime/default'),
    annotation('localhost/x'),
  ] as const
  for (const one of asked) {
    assert.deepEqual(refusal(pod(one), node), { reason: 'AppArmor', message })
    assert.equal(refusal(pod(one), { ...node, apparmor: true }), undefined)
  }
  for (const one of [{}, { own: { appArmorProfile: { type: 'Unconfined' as const } } }, annotation('unconfined')])
    assert.equal(refusal(pod(one), node), undefined)
})
