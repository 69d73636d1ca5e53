import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, PodSecurityContext, SecurityContext } from '#api/types/core-v1.gen.ts'
import type { Isolation } from '../sandbox/isolation.ts'
import { securityOf } from './security.ts'

const isolation: Isolation = { seccompDefault: true, seccompDir: '/var/seccomp', apparmor: true, unsafeSysctls: [] }

const secured = (ofPod: PodSecurityContext, securityContext: SecurityContext, user = '', on = isolation) =>
  securityOf({ spec: { securityContext: ofPod } } as Pod, { name: 'c', resources: {}, securityContext }, { image: { user }, isolation: on })

test('who a container runs as: its own word, its pod, its image', () => {
  assert.equal(secured({}, {}).user, '0')
  assert.equal(secured({}, {}, 'web:www').user, 'web:www')
  assert.equal(secured({ runAsUser: 1000 }, {}, 'web:www').user, '1000')
  assert.deepEqual(secured({ runAsUser: 1000, runAsGroup: 5 }, { runAsUser: 7 }).user, { uid: 7, gid: 5, groups: [] })
  assert.equal(secured({ runAsGroup: 5 }, {}, 'web').user, 'web:5')
  const { user, groups } = secured({ fsGroup: 9, supplementalGroups: [8, 9] }, {}, 'web')
  assert.deepEqual([user, groups], ['web', [8, 9]])
})

test('root is refused where the pod refuses it', () => {
  const refused = { name: 'ConfigError' }
  assert.throws(() => secured({ runAsNonRoot: true }, {}), { ...refused, message: 'container has runAsNonRoot and image will run as root' })
  assert.throws(() => secured({ runAsNonRoot: true }, { runAsUser: 0 }), refused)
  assert.throws(() => secured({}, { runAsNonRoot: true }, 'web'), /non-numeric user \(web\)/)
  assert.equal(secured({ runAsNonRoot: true }, {}, '1000').user, '1000')
  assert.equal(secured({ runAsNonRoot: true }, { runAsNonRoot: false }).user, '0')
})

test('what it may do', () => {
  const { privileged, readOnlyRoot, noNewPrivileges, capabilities } = secured(
    {},
    {
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
    },
  )
  assert.deepEqual({ privileged, readOnlyRoot, noNewPrivileges }, { privileged: false, readOnlyRoot: true, noNewPrivileges: true })
  assert.deepEqual(capabilities, { add: ['NET_ADMIN'], drop: ['ALL'] })
  assert.equal(secured({}, { privileged: true, allowPrivilegeEscalation: false }).noNewPrivileges, false)
})

test('the system call filter: the container over its pod over the node', () => {
  const localhost = { type: 'Localhost', localhostProfile: 'web/strict.json' } as const
  assert.deepEqual(secured({}, {}).seccomp, { type: 'RuntimeDefault' })
  assert.equal(secured({}, {}, '', { ...isolation, seccompDefault: false }).seccomp, undefined)
  assert.equal(secured({ seccompProfile: { type: 'Unconfined' } }, {}).seccomp, undefined)
  assert.deepEqual(secured({ seccompProfile: { type: 'Unconfined' } }, { seccompProfile: { type: 'RuntimeDefault' } }).seccomp, {
    type: 'RuntimeDefault',
  })
  assert.deepEqual(secured({ seccompProfile: localhost }, {}).seccomp, { type: 'Localhost', path: '/var/seccomp/web/strict.json' })
  assert.equal(secured({ seccompProfile: localhost }, { privileged: true }).seccomp, undefined)
  for (const localhostProfile of ['', '.', '../key.json', 'a/../../key.json', '/etc/passwd']) {
    assert.throws(() => secured({}, { seccompProfile: { type: 'Localhost', localhostProfile } }), { name: 'ConfigError' })
  }
  assert.throws(() => secured({}, { seccompProfile: { type: 'Strict' as never } }), /unknown seccomp profile type "Strict"/)
})

test('AppArmor by name, and a /proc without masks only in a user namespace', () => {
  assert.equal(secured({}, {}).apparmor, undefined)
  assert.equal(secured({}, { appArmorProfile: { type: 'Localhost', localhostProfile: 'web' } }).apparmor, 'web')
  assert.equal(secured({ appArmorProfile: { type: 'RuntimeDefault' } }, {}).apparmor, 'coracle-default')
  assert.equal(secured({ appArmorProfile: { type: 'RuntimeDefault' } }, { privileged: true }).apparmor, undefined)
  assert.throws(() => secured({}, { procMount: 'Unmasked' }), { name: 'ConfigError', message: /procMount Unmasked needs a user namespace/ })
})
