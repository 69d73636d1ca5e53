// One broken pod for each rule, with the words that say so, and pods that look odd and are sound.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Pod } from '../../types/core-v1.gen.ts'
import { created, updated } from '../check.fake.ts'
import { pod } from '../pod.ts'

const container = { name: 'c', image: 'i' }
const required = 'requiredDuringSchedulingIgnoredDuringExecution'
const preferred = 'preferredDuringSchedulingIgnoredDuringExecution'

const make = (spec: object, metadata: object = {}) =>
  created(pod, { metadata, spec: { serviceAccountName: 'default', containers: [container], ...spec } })
const withContainer = (more: object, spec: object = {}) => make({ ...spec, containers: [{ ...container, ...more }] })

/** What is given to a pod or container, and all that is wrong with it. */
type Rows = readonly (readonly [given: object, ...wrong: string[]])[]

function ofSpec(rows: Rows): void {
  for (const [spec, ...wrong] of rows) assert.deepEqual(make(spec).wrong, wrong, JSON.stringify(spec))
}

function ofContainer(rows: Rows, spec: object = {}): void {
  for (const [more, ...wrong] of rows) {
    const at = wrong.map((text) => text.replace(/^\./, 'spec.containers[0].'))
    assert.deepEqual(withContainer(more, spec).wrong, at, JSON.stringify(more))
  }
}

const name = (value: string) =>
  `Invalid value: "${value}": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`
const labelValue = (value: string) =>
  `Invalid value: "${value}": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'`
const ids = 'must be between 0 and 2147483647, inclusive'

describe('pods', () => {
  it('where they may go', () => {
    const node = (affinity: object) => ({ affinity: { nodeAffinity: affinity } })
    const term = (expression: object) => node({ [required]: { nodeSelectorTerms: [{ matchExpressions: [expression] }] } })
    const field = (expression: object) => node({ [required]: { nodeSelectorTerms: [{ matchFields: [expression] }] } })
    const near = (more: object) => ({ affinity: { podAffinity: { [required]: [{ topologyKey: 'zone', ...more }] } } })
    const apart = (weight: number, more: object = {}) => ({
      affinity: { podAntiAffinity: { [preferred]: [{ weight, podAffinityTerm: { topologyKey: 'zone', ...more } }] } },
    })
    const spread = (more: object) => ({
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', ...more }],
    })
    const terms = `spec.affinity.nodeAffinity.${required}.nodeSelectorTerms`
    const at = `spec.affinity.podAffinity.${required}[0]`
    const constraint = 'spec.topologySpreadConstraints[0]'
    ofSpec([
      [{ nodeSelector: { 'a b': 'c' } }, `spec.nodeSelector: ${name('a b')}`],
      [{ nodeSelector: { a: 'b c' } }, `spec.nodeSelector: ${labelValue('b c')})`],
      [node({ [required]: { nodeSelectorTerms: [] } }), `${terms}: Required value: must have at least one node selector term`],
      [
        term({ key: 'a', operator: 'In' }),
        `${terms}[0].matchExpressions[0].values: Required value: must be specified when \`operator\` is 'In' or 'NotIn'`,
      ],
      [
        term({ key: 'a', operator: 'Exists', values: ['b'] }),
        `${terms}[0].matchExpressions[0].values: Forbidden: may not be specified when \`operator\` is 'Exists' or 'DoesNotExist'`,
      ],
      [
        term({ key: 'a', operator: 'Gt', values: ['1', '2'] }),
        `${terms}[0].matchExpressions[0].values: Required value: must be specified single value when \`operator\` is 'Lt' or 'Gt'`,
      ],
      [
        term({ key: 'a', operator: 'Near' }),
        `${terms}[0].matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator`,
      ],
      [term({ key: 'a b', operator: 'Exists' }), `${terms}[0].matchExpressions[0].key: ${name('a b')}`],
      [term({ key: 'a', operator: 'In', values: ['b c'] }), `${terms}[0].matchExpressions[0].values[0]: ${labelValue('b c')})`],
      [
        field({ key: 'metadata.uid', operator: 'In', values: ['a'] }),
        `${terms}[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key`,
      ],
      [
        field({ key: 'metadata.name', operator: 'In', values: ['a', 'b'] }),
        `${terms}[0].matchFields[0].values: Required value: must be only one value when \`operator\` is 'In' or 'NotIn' for node field selector`,
      ],
      [
        node({ [preferred]: [{ weight: 101, preference: {} }] }),
        `spec.affinity.nodeAffinity.${preferred}[0].weight: Invalid value: 101: must be in the range 1-100`,
      ],
      [
        near({ topologyKey: '' }),
        `${at}.topologyKey: Required value: can not be empty`,
        `${at}.topologyKey: Invalid value: "": name part must be non-empty`,
        `${at}.topologyKey: ${name('')}`,
      ],
      [near({ labelSelector: { matchLabels: { a: 'b c' } } }), `${at}.labelSelector.matchLabels: ${labelValue('b c')})`],
      [
        near({ labelSelector: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b c'] }] } }),
        `${at}.labelSelector.matchExpressions[0].values[0]: ${labelValue('b c')})`,
      ],
      [near({ matchLabelKeys: ['a'] }), `${at}.matchLabelKeys: Forbidden: must not be specified when labelSelector is not set`],
      [
        near({ labelSelector: {}, matchLabelKeys: ['a'], mismatchLabelKeys: ['a'] }),
        `${at}.matchLabelKeys[0]: Invalid value: "a": exists in both matchLabelKeys and mismatchLabelKeys`,
      ],
      [apart(0), `spec.affinity.podAntiAffinity.${preferred}[0].weight: Invalid value: 0: must be in the range 1-100`],
      [spread({ maxSkew: 0 }), `${constraint}.maxSkew: Invalid value: 0: must be greater than zero`],
      [spread({ topologyKey: '' }), `${constraint}.topologyKey: Required value: can not be empty`],
      [
        spread({ whenUnsatisfiable: 'Wait' }),
        `${constraint}.whenUnsatisfiable: Unsupported value: "Wait": supported values: "DoNotSchedule", "ScheduleAnyway"`,
      ],
      [spread({ minDomains: 0 }), `${constraint}.minDomains: Invalid value: 0: must be greater than zero`],
      [
        spread({ minDomains: 1, whenUnsatisfiable: 'ScheduleAnyway' }),
        `${constraint}.minDomains: Invalid value: 1: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway`,
      ],
      [
        spread({ nodeTaintsPolicy: 'Never' }),
        `${constraint}.nodeTaintsPolicy: Unsupported value: "Never": supported values: "Honor", "Ignore"`,
      ],
      [
        spread({ labelSelector: { matchLabels: { a: 'b' } }, matchLabelKeys: ['a'] }),
        `${constraint}.matchLabelKeys[0]: Invalid value: "a": exists in both matchLabelKeys and labelSelector`,
      ],
      [
        { topologySpreadConstraints: [...spread({}).topologySpreadConstraints, ...spread({}).topologySpreadConstraints] },
        `${constraint}.{topologyKey, whenUnsatisfiable}: Duplicate value: "{zone, DoNotSchedule}"`,
      ],
      [{ schedulingGates: [{ name: 'a b' }] }, `spec.schedulingGates[0]: ${name('a b')}`],
      [{ schedulingGates: [{ name: 'a' }, { name: 'a' }] }, 'spec.schedulingGates[1]: Duplicate value: "a"'],
      [
        { schedulingGates: [{ name: 'a' }], nodeName: 'n' },
        'spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared',
      ],
      [
        { preemptionPolicy: 'Always' },
        'spec.preemptionPolicy: Unsupported value: "Always": supported values: "PreemptLowerPriority", "Never"',
      ],
      [
        { tolerations: [{ operator: 'Near', key: 'a' }] },
        'spec.tolerations[0].operator: Unsupported value: "Near": supported values: "Equal", "Exists"',
      ],
    ])
    const labels = { a: 'b' }
    assert.deepEqual(make(near({ labelSelector: { matchLabels: labels }, matchLabelKeys: ['a'] }), { labels }).wrong, [
      `${at}[0]: Invalid value: "a": exists in both matchLabelKeys and labelSelector`,
    ])
  })

  it('whose rights they have', () => {
    const security = (securityContext: object, more: object = {}) => ({ securityContext, ...more })
    const at = 'spec.securityContext'
    ofSpec([
      [security({ runAsUser: -1 }), `${at}.runAsUser: Invalid value: -1: ${ids}`],
      [security({ fsGroup: 2 ** 31 }), `${at}.fsGroup: Invalid value: 2147483648: ${ids}`],
      [security({ runAsGroup: -2 }), `${at}.runAsGroup: Invalid value: -2: ${ids}`],
      [security({ supplementalGroups: [1, -1] }), `${at}.supplementalGroups[1]: Invalid value: -1: ${ids}`],
      [
        security({ fsGroupChangePolicy: 'Never' }),
        `${at}.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", "OnRootMismatch"`,
      ],
      [
        security({ supplementalGroupsPolicy: 'None' }),
        `${at}.supplementalGroupsPolicy: Unsupported value: "None": supported values: "Merge", "Strict"`,
      ],
      [
        security({ seLinuxChangePolicy: 'None' }),
        `${at}.seLinuxChangePolicy: Unsupported value: "None": supported values: "MountOption", "Recursive"`,
      ],
      [security({ seccompProfile: {} }), `${at}.seccompProfile.type: Required value: type is required when seccompProfile is set`],
      [
        security({ seccompProfile: { type: 'Some' } }),
        `${at}.seccompProfile.type: Unsupported value: "Some": supported values: "Localhost", "RuntimeDefault", "Unconfined"`,
      ],
      [
        security({ seccompProfile: { type: 'Localhost' } }),
        `${at}.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost`,
      ],
      [
        security({ seccompProfile: { type: 'Localhost', localhostProfile: '../x' } }),
        `${at}.seccompProfile.localhostProfile: Invalid value: "../x": must not contain '..'`,
      ],
      [
        security({ seccompProfile: { type: 'Unconfined', localhostProfile: 'x' } }),
        `${at}.seccompProfile.localhostProfile: Invalid value: {"type":"Unconfined","localhostProfile":"x"}: can only be set when seccomp type is Localhost`,
      ],
      [security({ appArmorProfile: {} }), `${at}.appArmorProfile.type: Required value: type is required when appArmorProfile is set`],
      [
        security({ appArmorProfile: { type: 'Localhost', localhostProfile: ' x' } }),
        `${at}.appArmorProfile.localhostProfile: Invalid value: " x": must not be padded with whitespace`,
      ],
      [
        security({ appArmorProfile: { type: 'RuntimeDefault', localhostProfile: 'x' } }),
        `${at}.appArmorProfile.localhostProfile: Invalid value: "x": can only be set when AppArmor type is Localhost`,
      ],
      [
        security({ sysctls: [{ name: 'A', value: '1' }] }),
        `${at}.sysctls[0].name: Invalid value: "A": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`,
      ],
      [security({ sysctls: [{ name: 'a' }, { name: 'a' }] }), `${at}.sysctls[1].name: Duplicate value: "a"`],
      [
        security({ sysctls: [{ name: 'net.core.somaxconn', value: '1' }] }, { hostNetwork: true }),
        `${at}.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be specified when 'hostNetwork' is true`,
      ],
      [
        security({ sysctls: [{ name: 'kernel/shm_rmid_forced', value: '1' }] }, { hostIPC: true }),
        `${at}.sysctls[0].name: Invalid value: "kernel/shm_rmid_forced": may not be specified when 'hostIPC' is true`,
      ],
      [
        { shareProcessNamespace: true, hostPID: true },
        `${at}.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled`,
      ],
      [{ hostUsers: false, hostNetwork: true }, 'spec.hostNetwork: Forbidden: when `hostUsers` is false'],
      [{ hostUsers: false, hostIPC: true }, 'spec.hostIPC: Forbidden: when `hostUsers` is false'],
      [{ os: { name: 'plan9' } }, 'spec.os: Unsupported value: "plan9": supported values: "linux", "windows"'],
      [
        security({ windowsOptions: { runAsUserName: 'x' } }, { os: { name: 'linux' } }),
        `${at}.windowsOptions: Forbidden: windows options cannot be set for a linux pod`,
      ],
      [security({ runAsUser: 1 }, { os: { name: 'windows' } }), `${at}.runAsUser: Forbidden: cannot be set for a windows pod`],
      [
        security({ windowsOptions: { runAsUserName: '' } }),
        `${at}.windowsOptions.runAsUserName: Invalid value: "": runAsUserName cannot be an empty string`,
      ],
      [
        security({ windowsOptions: { hostProcess: true } }),
        'spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers',
      ],
    ])
    const own = (securityContext: object) => ({ securityContext })
    const escalation = { allowPrivilegeEscalation: false }
    ofContainer([
      [own({ runAsUser: -1 }), `.securityContext.runAsUser: Invalid value: -1: ${ids}`],
      [
        own({ ...escalation, privileged: true }),
        '.securityContext: Invalid value: {"privileged":true,"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
      ],
      [
        own({ ...escalation, capabilities: { add: ['CAP_SYS_ADMIN'] } }),
        '.securityContext: Invalid value: {"capabilities":{"add":["CAP_SYS_ADMIN"]},"allowPrivilegeEscalation":false}: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
      ],
      [own({ procMount: 'None' }), '.securityContext.procMount: Unsupported value: "None": supported values: "Default", "Unmasked"'],
      [
        own({ procMount: 'Unmasked' }),
        '.securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`',
      ],
      [
        own({ windowsOptions: { runAsUserName: 'a\\b\\c' } }),
        '.securityContext.windowsOptions.runAsUserName: Invalid value: "a\\\\b\\\\c": runAsUserName cannot contain more than one backslash',
      ],
    ])
  })

  it('their names and those of others', () => {
    const subdomain = (value: string) =>
      `Invalid value: "${value}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
    const many = Array.from({ length: 33 }, (_, i) => `d${i}`)
    ofSpec([
      [{ runtimeClassName: 'A' }, `spec.runtimeClassName: ${subdomain('A')}`],
      [{ priorityClassName: 'A' }, `spec.priorityClassName: ${subdomain('A')}`],
      [
        { hostAliases: [{ hostnames: ['a'] }] },
        'spec.hostAliases[0].ip: Invalid value: "": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      ],
      [{ readinessGates: [{ conditionType: 'a b' }] }, `spec.readinessGates[0].conditionType: ${name('a b')}`],
      [
        { dnsPolicy: 'None', dnsConfig: {} },
        'spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None',
      ],
      [
        { dnsConfig: { nameservers: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'] } },
        'spec.dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.2","1.1.1.3","1.1.1.4"]: must not have more than 3 nameservers',
      ],
      [
        { dnsConfig: { searches: many } },
        `spec.dnsConfig.searches: Invalid value: ${JSON.stringify(many)}: must not have more than 32 search paths`,
      ],
      [{ dnsConfig: { options: [{ value: 'a' }] } }, 'spec.dnsConfig.options[0]: Required value: must not be empty'],
      [
        { resourceClaims: [{ name: 'a' }] },
        'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`',
      ],
      [{ ephemeralContainers: [{ name: 'e', image: 'i' }] }, 'spec.ephemeralContainers: Forbidden: cannot be set on create'],
      [
        { overhead: { gpus: '1' } },
        'spec.overhead.limits[gpus]: Invalid value: "gpus": must be a standard resource type or fully qualified',
        'spec.overhead.limits[gpus]: Invalid value: "gpus": must be a standard resource for containers',
      ],
      [
        { serviceAccountName: '', volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }] },
        'spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden: must not be specified when serviceAccountName is not set',
      ],
      [
        { resources: { limits: { 'ephemeral-storage': '1' } } },
        'spec.resources.limits[ephemeral-storage]: Unsupported value: "ephemeral-storage": supported values: "cpu", "hugepages-", "memory"',
      ],
    ])
    const annotated = (key: string, value: string) => make({}, { annotations: { [key]: value } }).wrong
    assert.deepEqual(annotated('controller.kubernetes.io/pod-deletion-cost', '1e9'), [
      'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "1e9": must be a 32bit integer',
    ])
    assert.deepEqual(annotated('kubernetes.io/config.mirror', 'x'), [
      'metadata.annotations[kubernetes.io/config.mirror]: Invalid value: "x": must set spec.nodeName if mirror pod annotation is set',
    ])
    assert.deepEqual(annotated('container.apparmor.security.beta.kubernetes.io/d', 'unconfined'), [
      'metadata.annotations[container.apparmor.security.beta.kubernetes.io/d]: Invalid value: "d": container not found',
    ])
    const seccomp = { annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' } }
    assert.deepEqual(make({ securityContext: { seccompProfile: { type: 'RuntimeDefault' } } }, seccomp).wrong, [
      'spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match',
    ])
  })

  it('their volumes', () => {
    const volume = (source: object) => ({ volumes: [{ name: 'v', ...source }] })
    const projected = (...sources: object[]) => volume({ projected: { sources } })
    const claim = (spec: object, metadata = {}) => volume({ ephemeral: { volumeClaimTemplate: { metadata, spec } } })
    const sound = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
    const at = 'spec.volumes[0]'
    const octal = 'must be a number between 0 and 0777 (octal), both inclusive'
    const item = (path: string) => [{ key: 'k', path }]
    ofSpec([
      [volume({ emptyDir: { sizeLimit: '-1' } }), `${at}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity`],
      [volume({ hostPath: { path: '/a/../b' } }), `${at}.hostPath.path: Invalid value: "/a/../b": must not contain '..'`],
      [
        volume({ hostPath: { path: '/a', type: 'Any' } }),
        `${at}.hostPath.type: Unsupported value: "Any": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"`,
      ],
      [volume({ nfs: { server: 's', path: 'p' } }), `${at}.nfs.path: Invalid value: "p": must be an absolute path`],
      [volume({ nfs: { path: '/p' } }), `${at}.nfs.server: Required value`],
      [volume({ csi: {} }), `${at}.csi.driver: Required value`],
      [volume({ csi: { driver: 'd', nodePublishSecretRef: {} } }), `${at}.csi.nodePublishSecretRef.name: Required value`],
      [
        volume({ iscsi: { targetPortal: 'p', iqn: 'x', lun: 0 } }),
        `${at}.iscsi.iqn: Invalid value: "x": must be valid format starting with iqn, eui, or naa`,
      ],
      [
        volume({ iscsi: { targetPortal: 'p', iqn: 'eui.0123456789abcdef', lun: 256 } }),
        `${at}.iscsi.lun: Invalid value: 256: must be between 0 and 255, inclusive`,
      ],
      [volume({ fc: { targetWWNs: ['a'] } }), `${at}.fc.lun: Required value: lun is required if targetWWNs is specified`],
      [volume({ rbd: { monitors: [], image: 'i' } }), `${at}.rbd.monitors: Required value`],
      [
        volume({ gitRepo: { repository: 'r', directory: '../x' } }),
        `${at}.gitRepo.directory: Invalid value: "../x": must not contain '..'`,
      ],
      [volume({ image: {} }), `${at}.image.reference: Required value`],
      [volume({ secret: { secretName: 's', defaultMode: 512 } }), `${at}.secret.defaultMode: Invalid value: 512: ${octal}`],
      [
        volume({ configMap: { name: 'm', items: item('..x') } }),
        `${at}.configMap.items[0].path: Invalid value: "..x": must not start with '..'`,
      ],
      [
        volume({ downwardAPI: { items: [{ path: 'p' }] } }),
        `${at}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required`,
      ],
      [
        volume({ downwardAPI: { items: [{ path: 'p', fieldRef: { fieldPath: 'status.podIP' } }] } }),
        `${at}.downwardAPI.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"`,
      ],
      [
        volume({ downwardAPI: { items: [{ path: 'p', resourceFieldRef: { resource: 'limits.cpu' } }] } }),
        `${at}.downwardAPI.resourceFieldRef.containerName: Required value`,
      ],
      [
        projected({ secret: { name: 's', items: item('p') } }, { configMap: { name: 'm', items: item('p') } }),
        `${at}.projected: Invalid value: "m": conflicting duplicate paths`,
      ],
      [
        projected({ secret: { name: 's' }, configMap: { name: 'm' } }),
        `${at}.projected.sources[0]: Forbidden: may not specify more than 1 volume type per source`,
      ],
      [
        projected({ serviceAccountToken: { path: 't', expirationSeconds: 60 } }),
        `${at}.projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes`,
      ],
      [projected({ serviceAccountToken: {} }), `${at}.projected.path: Required value`],
      [
        projected({ clusterTrustBundle: { path: 'p' } }),
        `${at}.projected.sources[0].clusterTrustBundle: Required value: either name or signerName must be specified`,
      ],
      [volume({ ephemeral: {} }), `${at}.ephemeral.volumeClaimTemplate: Required value`],
      [
        claim({ ...sound, accessModes: [] }),
        `${at}.ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required`,
      ],
      [claim({ ...sound, resources: {} }), `${at}.ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value`],
      [claim(sound, { name: 'x' }), `${at}.ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set`],
      [
        { volumes: [...claim(sound).volumes, { name: 'w', persistentVolumeClaim: { claimName: 'one-v' } }] },
        'spec.volumes[1].persistentVolumeClaim.claimName: Invalid value: "one-v": must not reference a PVC that gets created for an ephemeral volume',
      ],
    ])
    const spec = { volumes: [{ name: 'v' }, { name: 'p', persistentVolumeClaim: { claimName: 'c' } }] }
    const mount = (more: object) => ({ volumeMounts: [{ name: 'v', mountPath: '/v', ...more }] })
    const device = (more: object) => ({ volumeDevices: [{ name: 'p', devicePath: '/dev/x', ...more }] })
    ofContainer(
      [
        [mount({ mountPath: '/a:b' }), `.volumeMounts[0].mountPath: Invalid value: "/a:b": must not contain ':'`],
        [mount({ subPath: '/a' }), '.volumeMounts.subPath: Invalid value: "/a": must be a relative path'],
        [
          mount({ subPath: 'a', subPathExpr: 'b' }),
          '.volumeMounts[0].subPathExpr: Invalid value: "b": subPathExpr and subPath are mutually exclusive',
        ],
        [
          mount({ mountPropagation: 'Bidirectional' }),
          '.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers',
        ],
        [
          mount({ mountPropagation: 'Both' }),
          '.volumeMounts.mountPropagation: Unsupported value: "Both": supported values: "Bidirectional", "HostToContainer", "None"',
        ],
        [
          mount({ recursiveReadOnly: 'Enabled' }),
          '.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true',
        ],
        [
          device({ name: 'v' }),
          '.volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
        ],
        [device({ name: 'w' }), '.volumeDevices[0].name: Not found: "w"'],
        [device({ devicePath: '/dev/../x' }), `.volumeDevices[0].devicePath: Invalid value: "/dev/../x": can not contain backsteps ('..')`],
        [
          { ...mount({ name: 'p' }), ...device({}) },
          '.volumeMounts[0].name: Invalid value: "p": must not already exist in volumeDevices',
          '.volumeDevices[0].name: Invalid value: "p": must not already exist in volumeMounts',
        ],
      ],
      spec,
    )
  })

  it('what their containers need', () => {
    const limits = (amounts: object, requests: object = {}) => ({ resources: { limits: amounts, requests } })
    const env = (valueFrom: object, more: object = {}) => ({ env: [{ name: 'A', valueFrom, ...more }] })
    const probe = (more: object) => ({ readinessProbe: { exec: { command: ['a'] }, ...more } })
    const live = (handler: object) => ({ livenessProbe: handler })
    const stop = (handler: object) => ({ lifecycle: { preStop: handler } })
    const rule = (more: object) => ({
      restartPolicy: 'Never',
      restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [3] }, ...more }],
    })
    ofContainer([
      [
        limits({ 'example.com/gpu': '1500m' }),
        '.resources.limits[example.com/gpu]: Invalid value: "1500m": must be an integer',
        '.resources.requests[example.com/gpu]: Invalid value: "1500m": must be an integer',
      ],
      [
        limits({ 'example.com/gpu': '2' }, { 'example.com/gpu': '1' }),
        '.resources.requests: Invalid value: "1": must be equal to example.com/gpu limit of 2',
      ],
      [
        { resources: { requests: { 'example.com/gpu': '1' } } },
        '.resources.limits: Required value: Limit must be set for non overcommitable resources',
      ],
      [
        limits({ 'requests.example.com/gpu': '1' }),
        `.resources.limits[requests.example.com/gpu]: Invalid value: "requests.example.com/gpu": doesn't follow extended resource name standard`,
        `.resources.requests[requests.example.com/gpu]: Invalid value: "requests.example.com/gpu": doesn't follow extended resource name standard`,
      ],
      [limits({ 'hugepages-2Mi': '4Mi' }), '.resources: Forbidden: HugePages require cpu or memory'],
      [
        limits({ cpu: '1', 'hugepages-2Mi': '3Mi' }),
        '.resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
        '.resources.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
      ],
      [
        { resources: { claims: [{ name: 'x' }] } },
        '.resources.claims[0]: Not found: "x": must be one of the names in pod.spec.resourceClaims which is empty',
      ],
      [
        { resizePolicy: [{ resourceName: 'disk', restartPolicy: 'NotRequired' }] },
        '.resizePolicy: Unsupported value: "disk": supported values: "cpu", "memory"',
      ],
      [
        { resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'Never' }] },
        '.resizePolicy: Unsupported value: "Never": supported values: "NotRequired", "RestartContainer"',
      ],
      [
        env({}),
        '.env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ],
      [
        env({ fieldRef: { fieldPath: 'metadata.foo' } }),
        '.env[0].valueFrom.fieldRef.fieldPath: Invalid value: "metadata.foo": error converting fieldPath: field label not supported: metadata.foo',
      ],
      [
        env({ fieldRef: { fieldPath: 'metadata.labels' } }),
        '.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
      ],
      [env({ fieldRef: { fieldPath: "metadata.labels['a b']" } }), `.env[0].valueFrom.fieldRef: ${name('a b')}`],
      [
        env({ resourceFieldRef: { resource: 'limits.gpu' } }),
        '.env[0].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.gpu": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"',
      ],
      [
        env({ resourceFieldRef: { resource: 'limits.cpu', divisor: '2' } }),
        `.env[0].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
      ],
      [env({ configMapKeyRef: { name: 'm' } }), '.env[0].valueFrom.configMapKeyRef.key: Required value'],
      [
        env({ fieldRef: { fieldPath: 'metadata.name' } }, { value: 'x' }),
        '.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      ],
      [{ envFrom: [{}] }, '.envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`'],
      [
        { envFrom: [{ prefix: '=', secretRef: { name: 's' } }] },
        `.envFrom[0].prefix: Invalid value: "=": a valid environment variable name must consist only of printable ASCII characters other than '='`,
      ],
      [
        probe({ terminationGracePeriodSeconds: 5 }),
        '.readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes',
      ],
      [probe({ initialDelaySeconds: -1 }), '.readinessProbe.initialDelaySeconds: Invalid value: -1: must be greater than or equal to 0'],
      [
        live({ exec: { command: ['a'] }, tcpSocket: { port: 1 } }),
        '.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type',
      ],
      [live({ grpc: { port: 0 } }), '.livenessProbe.grpc.port: Invalid value: 0: must be between 1 and 65535, inclusive'],
      [
        live({ httpGet: { port: 1, httpHeaders: [{ name: 'a b', value: '' }] } }),
        `.livenessProbe.httpGet.httpHeaders: Invalid value: "a b": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')`,
      ],
      [live({ httpGet: { port: 'a--b' } }), '.livenessProbe.httpGet.port: Invalid value: "a--b": must not contain consecutive hyphens'],
      [
        stop({ sleep: { seconds: 31 } }),
        '.lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)',
      ],
      [{ restartPolicy: 'Sometimes' }, '.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"'],
      [{ ...rule({}), restartPolicy: undefined }, '.restartPolicy: Required value: must specify restartPolicy when restart rules are used'],
      [
        rule({ action: 'Stop' }),
        '.restartPolicyRules[0].action: Unsupported value: "Stop": supported values: "Restart", "RestartAllContainers"',
      ],
      [
        rule({ exitCodes: { values: [1] } }),
        '.restartPolicyRules[0].exitCodes.operator: Unsupported value: "": supported values: "In", "NotIn"',
      ],
      [
        { terminationMessagePolicy: 'Log' },
        '.terminationMessagePolicy: Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"',
      ],
    ])
    ofSpec([
      [
        {
          restartPolicy: 'Never',
          containers: [{ ...container, resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] }],
        },
        `spec.containers[0].resizePolicy: Invalid value: "RestartContainer": must be 'NotRequired' when \`restartPolicy\` is 'Never'`,
      ],
      [
        { initContainers: [{ ...container, name: 'i', livenessProbe: { exec: { command: ['a'] } } }] },
        'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
      ],
      [{ initContainers: [container] }, 'spec.initContainers[0].name: Duplicate value: "c"'],
      [
        { hostNetwork: true, containers: [{ ...container, ports: [{ containerPort: 80, hostPort: 81 }] }] },
        'spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true',
      ],
    ])
  })

  it('that are sound, though odd', () => {
    const init = { name: 'i', image: 'i' }
    const good: object[] = [
      { terminationGracePeriodSeconds: -1 },
      { terminationGracePeriodSeconds: 0 },
      { dnsConfig: { searches: ['.', '_tcp.example.com', 'a.b.'], options: [{ name: 'ndots' }] } },
      { hostNetwork: true, containers: [{ ...container, ports: [{ containerPort: 80 }] }] },
      { os: { name: 'linux' }, securityContext: { seccompProfile: { type: 'Localhost', localhostProfile: 'a/b.json' } } },
      { hostUsers: false, containers: [{ ...container, securityContext: { procMount: 'Unmasked' } }] },
      { volumes: [{ name: 'v', image: { reference: 'x' } }] },
      { volumes: [{ name: 'v', csi: { driver: 'Driver.Example.com' } }] },
      { containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: 'C:\\data' }] }], volumes: [{ name: 'v' }] },
      { containers: [{ ...container, ports: [{ containerPort: 80 }, { containerPort: 80 }] }] },
      { containers: [{ ...container, env: [{ name: 'A' }, { name: 'A', value: 'b' }, { name: 'a b' }] }] },
      { containers: [{ ...container, env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['A.b/C']" } } }] }] },
      { containers: [{ ...container, resources: { limits: { memory: '100m', 'kubernetes.io/batch-cpu': '1500m' } } }] },
      { containers: [{ ...container, lifecycle: { preStop: { sleep: { seconds: 0 } }, postStart: { httpGet: { port: 'web' } } } }] },
      { initContainers: [{ ...init, restartPolicy: 'Always', readinessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }] },
      { imagePullSecrets: [{}] },
      {
        affinity: {
          podAffinity: {},
          nodeAffinity: { [preferred]: [{ weight: 1, preference: { matchExpressions: [{ key: 'a', operator: 'In', values: ['b c'] }] } }] },
        },
      },
      { tolerations: [{ operator: 'Exists' }, { operator: 'Exists' }] },
      { nodeName: 'n', schedulingGates: [] },
      {
        volumes: [
          { name: 'v', hostPath: { path: 'relative' } },
          { name: 'w', nfs: { server: 's', path: '/' } },
        ],
      },
    ]
    for (const spec of good) assert.deepEqual(make(spec).wrong, [], JSON.stringify(spec))
  })
})

describe('updates of pods', () => {
  const change = (from: Pod, next: (spec: Pod['spec']) => void) => updated(pod, from, (p) => next(p.spec))
  const fixed =
    'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'
  const affinity = (...keys: string[]) => ({
    nodeAffinity: { [required]: { nodeSelectorTerms: [{ matchExpressions: keys.map((key) => ({ key, operator: 'Exists' as const })) }] } },
  })

  it('of what is free', () => {
    const { object } = make({
      activeDeadlineSeconds: 9,
      tolerations: [{ key: 'a', operator: 'Exists' }],
      terminationGracePeriodSeconds: -1,
    })
    assert.deepEqual(
      change(object, (spec) => {
        spec.containers[0]!.image = 'other'
        spec.activeDeadlineSeconds = 5
        spec.tolerations?.push({ key: 'b', operator: 'Exists' })
        spec.terminationGracePeriodSeconds = 1
      }),
      [],
    )
    const { object: gated } = make({ schedulingGates: [{ name: 'a' }, { name: 'b' }], nodeSelector: { a: 'b' }, affinity: affinity('x') })
    assert.deepEqual(
      change(gated, (spec) => {
        spec.schedulingGates = [{ name: 'b' }]
        spec.nodeSelector = { a: 'b', c: 'd' }
        spec.affinity = affinity('x', 'y')
      }),
      [],
    )
  })

  it('of what is not', () => {
    const { object } = make({ activeDeadlineSeconds: 9, tolerations: [{ key: 'a', operator: 'Exists' }] })
    const { object: gated } = make({ schedulingGates: [{ name: 'a' }], nodeSelector: { a: 'b' }, affinity: affinity('x') })
    const rows: [Pod, (spec: Pod['spec']) => void, string][] = [
      [object, (spec) => void (spec.hostname = 'h'), fixed],
      [object, (spec) => void (spec.nodeSelector = { a: 'b' }), fixed],
      [
        object,
        (spec) => void spec.containers.push({ ...spec.containers[0]!, name: 'd' }),
        'spec.containers: Forbidden: pod updates may not add or remove containers',
      ],
      [
        object,
        (spec) => void delete spec.activeDeadlineSeconds,
        'spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value',
      ],
      [
        object,
        (spec) => void (spec.activeDeadlineSeconds = 10),
        'spec.activeDeadlineSeconds: Invalid value: 10: must be less than or equal to previous value',
      ],
      [
        object,
        (spec) => void delete spec.tolerations,
        'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
      ],
      [
        object,
        (spec) => void (spec.schedulingGates = [{ name: 'z' }]),
        `spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'z'`,
      ],
      [
        gated,
        (spec) => void (spec.nodeSelector = { c: 'd' }),
        'spec.nodeSelector: Invalid value: {"c":"d"}: only additions to spec.nodeSelector are allowed (no mutations or deletions)',
      ],
      [
        gated,
        (spec) => void (spec.affinity = affinity('y')),
        `spec.affinity.nodeAffinity.${required}.nodeSelectorTerms[0]: Invalid value: {"matchExpressions":[{"key":"y","operator":"Exists"}]}: only additions are allowed (no mutations or deletions)`,
      ],
      [
        gated,
        (spec) => void delete spec.affinity,
        `spec.affinity.nodeAffinity.${required}.nodeSelectorTerms: Invalid value: []: no additions/deletions to non-empty NodeSelectorTerms list are allowed`,
      ],
    ]
    for (const [from, next, wrong] of rows) assert.deepEqual(change(from, next), [wrong])
    const annotate = (p: Pod) => void (p.metadata.annotations = { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' })
    assert.deepEqual(updated(pod, object, annotate), [
      'metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: Forbidden: may not add AppArmor annotations',
    ])
  })

  it('of ephemeral containers', () => {
    const { object } = make({ volumes: [{ name: 'v' }] })
    const add = (more: object) =>
      updated(
        pod,
        object,
        (p) => void (p.spec.ephemeralContainers = [{ name: 'e', image: 'i', resources: {}, ...more }]),
        'ephemeralcontainers',
      )
    const at = 'spec.ephemeralContainers[0]'
    const why = 'cannot be set for an Ephemeral Container'
    assert.deepEqual(add({ targetContainerName: 'c', volumeMounts: [{ name: 'v', mountPath: '/v' }] }), [])
    const rows: Rows = [
      [{ ports: [{ containerPort: 1, protocol: 'TCP' }] }, `${at}.ports: Forbidden: ${why}`],
      [{ livenessProbe: { exec: { command: ['a'] } } }, `${at}.livenessProbe: Forbidden: ${why}`],
      [{ lifecycle: {} }, `${at}.lifecycle: Forbidden: ${why}`],
      [{ resources: { limits: { cpu: '1' } } }, `${at}.resources: Forbidden: ${why}`],
      [{ restartPolicy: 'Always' }, `${at}.restartPolicy: Forbidden: ${why}`],
      [{ volumeMounts: [{ name: 'v', mountPath: '/v', subPath: 's' }] }, `${at}.volumeMounts[0].subPath: Forbidden: ${why}`],
      [{ targetContainerName: 'x' }, `${at}.targetContainerName: Not found: "x"`],
      [{ name: 'c' }, `${at}.name: Duplicate value: "c"`],
    ]
    for (const [more, ...wrong] of rows) assert.deepEqual(add(more), wrong)
  })
})
