import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod, PodSecurityContext, SecurityContext } from '#api/types/core-v1.gen.ts'
import { securityOf } from './security.ts'

const secured = (ofPod: PodSecurityContext, securityContext: SecurityContext, user = '') =>
  securityOf({ spec: { securityContext: ofPod } } as Pod, { name: 'c', resources: {}, securityContext }, { user })

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
