import { StatefulSet } from './index.ts'
import { defaultClaim } from './persistent-volume-claim.ts'
import { validateClaimSpec } from './rules/claim-validation.ts'
import { ageColumn, nameColumn, templateColumns } from './rules/columns.ts'
import { type Faults, same } from './rules/faults.ts'
import { isDns1123Label } from './rules/names.ts'
import { defaultPodSpec } from './rules/pod-template.ts'
import { templateWarnings } from './rules/pod-warnings.ts'
import { validateReplicaCounts } from './rules/status-counts.ts'
import { validatePodTemplate, validateTemplateSelector } from './rules/template-validation.ts'
import { isZero, replicas, validateAtMostAll, validateIntOrPercent } from './rules/workload.ts'
import type { KindSpec } from './spec.ts'

/** Fields of the spec that an update may change. */
const open = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]

export const statefulSet: KindSpec<StatefulSet> = {
  kind: StatefulSet,
  singular: 'statefulset',
  shortNames: ['sts'],
  categories: ['all'],
  status: true,
  generation: true,
  scale: replicas,
  nameRule: isDns1123Label,
  columns: [
    nameColumn,
    { name: 'Ready', cell: (s) => `${s.status?.readyReplicas ?? 0}/${s.spec.replicas ?? 0}` },
    ageColumn,
    ...templateColumns<StatefulSet>(
      (s) => s.spec.template.spec?.containers ?? [],
      (s) => s.spec.selector,
    ).slice(0, 2),
  ],
  defaults({ spec }) {
    if (!spec) return
    spec.replicas ??= 1
    spec.revisionHistoryLimit ??= 10
    spec.podManagementPolicy ??= 'OrderedReady'
    spec.updateStrategy ??= {}
    spec.updateStrategy.type ??= 'RollingUpdate'
    if (spec.updateStrategy.type === 'RollingUpdate') {
      spec.updateStrategy.rollingUpdate ??= {}
      spec.updateStrategy.rollingUpdate.partition ??= 0
    }
    spec.persistentVolumeClaimRetentionPolicy ??= {}
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted ??= 'Retain'
    spec.persistentVolumeClaimRetentionPolicy.whenScaled ??= 'Retain'
    for (const claim of spec.volumeClaimTemplates ?? []) {
      claim.apiVersion = 'v1'
      claim.kind = 'PersistentVolumeClaim'
      defaultClaim(claim)
    }
    if (spec.template?.spec) defaultPodSpec(spec.template.spec)
  },
  prepareCreate(s) {
    s.status = { replicas: 0, availableReplicas: 0 }
  },
  *warnings({ spec }) {
    yield* templateWarnings(spec.template)
    if ((spec.revisionHistoryLimit ?? 0) < 0)
      yield 'spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended'
  },
  validate({ spec }, faults) {
    if (!spec) return faults.required('spec')
    if (!spec.podManagementPolicy) faults.required('spec.podManagementPolicy')
    else if (spec.podManagementPolicy !== 'OrderedReady' && spec.podManagementPolicy !== 'Parallel')
      faults.invalid('spec.podManagementPolicy', spec.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'")
    validateStrategy(spec.updateStrategy, faults)
    validateRetention(spec.persistentVolumeClaimRetentionPolicy, faults)
    faults.notNegative('spec.replicas', spec.replicas)
    faults.notNegative('spec.minReadySeconds', spec.minReadySeconds)
    faults.notNegative('spec.ordinals.start', spec.ordinals?.start)
    validateTemplateSelector(spec, 'empty selector is invalid for statefulset', faults)
    validatePods(spec, faults)
    const pod = spec.template.spec
    if (pod && pod.restartPolicy !== 'Always') faults.notSupported('spec.template.spec.restartPolicy', pod.restartPolicy, ['Always'])
    if (pod?.activeDeadlineSeconds !== undefined)
      faults.forbidden('spec.template.spec.activeDeadlineSeconds', 'activeDeadlineSeconds in StatefulSet is not Supported')
  },
  validateCreate({ spec }, faults) {
    if (!spec) return
    if (spec.serviceName) faults.each('spec.serviceName', spec.serviceName, isDns1123Label(spec.serviceName))
    for (const [i, claim] of (spec.volumeClaimTemplates ?? []).entries())
      validateClaimSpec(`spec.volumeClaimTemplates[${i}].spec`, claim.spec, faults)
  },
  validateUpdate(next, previous, faults, subresource) {
    if (subresource === 'status') {
      const parts = ['readyReplicas', 'currentReplicas', 'updatedReplicas', 'availableReplicas']
      validateReplicaCounts(next, parts, 'status.readyReplicas', faults)
    }
    const fixed = ({ spec }: StatefulSet) => Object.fromEntries(Object.entries(spec).filter(([name]) => !open.includes(name)))
    if (!same(fixed(next), fixed(previous))) {
      const names = open.map((name) => `'${name}'`)
      faults.forbidden(
        'spec',
        `updates to statefulset spec for fields other than ${names.slice(0, -1).join(', ')} and ${names.at(-1)} are forbidden`,
      )
    }
  },
}

/** As each of them will be: it gets its name as its host's, and a claim takes the place of a volume of the same name. */
function validatePods({ template, volumeClaimTemplates = [] }: StatefulSet['spec'], faults: Faults): void {
  const claims = new Map(volumeClaimTemplates.map(({ metadata: { name } }) => [name, { name, persistentVolumeClaim: { claimName: name } }]))
  const pod = template.spec && {
    ...template.spec,
    hostname: undefined,
    subdomain: undefined,
    volumes: template.spec.volumes?.filter(({ name }) => !claims.has(name)),
  }
  validatePodTemplate('spec.template', { ...template, spec: pod }, faults, [...claims.values()])
}

function validateStrategy({ type, rollingUpdate }: StatefulSet['spec']['updateStrategy'], faults: Faults): void {
  const at = 'spec.updateStrategy'
  if (type === 'OnDelete') {
    if (rollingUpdate) faults.invalid(`${at}.rollingUpdate`, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")
  } else if (type === 'RollingUpdate') {
    faults.notNegative(`${at}.rollingUpdate.partition`, rollingUpdate?.partition)
    const most = rollingUpdate?.maxUnavailable
    if (most !== undefined) {
      const field = `${at}.rollingUpdate.maxUnavailable`
      validateIntOrPercent(field, most, faults)
      if (isZero(most)) faults.invalid(field, most, 'cannot be 0')
      validateAtMostAll(field, most, faults)
    }
  } else faults.invalid(at, { type, rollingUpdate }, "must be 'RollingUpdate' or 'OnDelete'")
}

function validateRetention(policy: StatefulSet['spec']['persistentVolumeClaimRetentionPolicy'], faults: Faults): void {
  for (const when of ['whenDeleted', 'whenScaled'] as const) {
    faults.oneOf(`spec.persistentVolumeClaimRetentionPolicy.${when}`, policy?.[when], ['Retain', 'Delete'])
  }
}
