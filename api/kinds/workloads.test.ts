import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { created, row, updated } from './check.fake.ts'
import { controllerRevision } from './controller-revision.ts'
import { cronJob } from './cron-job.ts'
import { daemonSet } from './daemon-set.ts'
import { horizontalPodAutoscaler } from './horizontal-pod-autoscaler.ts'
import { job } from './job.ts'
import { podDisruptionBudget } from './pod-disruption-budget.ts'
import { podTemplate } from './pod-template-kind.ts'
import { replicationController } from './replication-controller.ts'
import { parseCron } from './rules/cron-schedule.ts'
import { statefulSet } from './stateful-set.ts'

const container = { name: 'c', image: 'busybox:1' }
const template = { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } }
const selector = { matchLabels: { app: 'web' } }
const once = { spec: { restartPolicy: 'Never', containers: [container] } }

describe('apps', () => {
  const set = { spec: { selector, template: { ...template, spec: { ...template.spec, nodeSelector: { disk: 'ssd' } } } } }
  const { object: daemon } = created(daemonSet, set)
  const { object: stateful } = created(statefulSet, { spec: { selector, template, serviceName: 'web', volumeClaimTemplates: [claim()] } })

  it('defaults', () => {
    assert.deepEqual(daemon.spec.updateStrategy, { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } })
    assert.equal(daemon.spec.revisionHistoryLimit, 10)
    const { template: _, volumeClaimTemplates, selector: __, ...spec } = stateful.spec
    assert.deepEqual(spec, {
      serviceName: 'web',
      replicas: 1,
      revisionHistoryLimit: 10,
      podManagementPolicy: 'OrderedReady',
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    })
    const [first] = volumeClaimTemplates ?? []
    assert.deepEqual([first?.kind, first?.spec.volumeMode, first?.status.phase], ['PersistentVolumeClaim', 'Filesystem', 'Pending'])
  })

  it('rules', () => {
    const wrong = (spec: object) => created(daemonSet, { spec: { ...set.spec, ...spec } }).wrong
    assert.deepEqual(wrong({}), [])
    assert.deepEqual(wrong({ selector: {} }), ['spec.selector: Invalid value: {}: empty selector is invalid for daemonset'])
    assert.deepEqual(wrong({ selector: { matchLabels: { app: 'db' } } }), [
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ])
    assert.deepEqual(wrong({ updateStrategy: { rollingUpdate: { maxUnavailable: 1, maxSurge: 1 } } }), [
      'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero',
    ])
    assert.deepEqual(wrong({ updateStrategy: { rollingUpdate: { maxUnavailable: 0 } } }), [
      'spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0',
    ])
    assert.deepEqual(wrong({ template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } }), [
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ])
    const mounts = { containers: [{ ...container, volumeMounts: [{ name: 'data', mountPath: '/data' }] }] }
    const mounted = { selector, serviceName: 'web', template: { ...template, spec: mounts } }
    assert.deepEqual(created(statefulSet, { spec: { ...mounted, volumeClaimTemplates: [claim()] } }).wrong, [])
    assert.deepEqual(created(statefulSet, { spec: mounted }).wrong, [
      'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"',
    ])
    assert.deepEqual(created(statefulSet, { spec: { ...mounted, template, podManagementPolicy: 'Later' } }).wrong, [
      "spec.podManagementPolicy: Invalid value: \"Later\": must be 'OrderedReady' or 'Parallel'",
    ])
    assert.deepEqual(created(controllerRevision, { revision: 1 }).wrong, ['data: Required value: data is mandatory'])
  })

  it('updates', () => {
    assert.deepEqual(updated(daemonSet, daemon, (d) => void (d.spec.selector = { matchLabels: { app: 'db' } })).slice(-1), [
      'spec.selector: Invalid value: {"matchLabels":{"app":"db"}}: field is immutable',
    ])
    assert.deepEqual(
      updated(statefulSet, stateful, (s) => void (s.spec.replicas = 5)),
      [],
    )
    assert.deepEqual(
      updated(statefulSet, stateful, (s) => void (s.spec.serviceName = 'other')),
      [
        "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ],
    )
    const { object: revision } = created(controllerRevision, { revision: 1, data: { a: 1 } })
    assert.deepEqual(
      updated(controllerRevision, revision, (r) => void (r.data = { a: 2 })),
      ['data: Invalid value: {"a":2}: field is immutable'],
    )
  })

  it('columns', () => {
    assert.equal(
      row(daemonSet, daemon),
      'NAME=one | DESIRED=0 | CURRENT=0 | READY=0 | UP-TO-DATE=0 | AVAILABLE=0 | NODE SELECTOR=disk=ssd | AGE=60s | +CONTAINERS=c | +IMAGES=busybox:1 | +SELECTOR=app=web',
    )
    const ready = { ...stateful, status: { ...stateful.status, readyReplicas: 1 } }
    assert.equal(row(statefulSet, ready), 'NAME=one | READY=1/1 | AGE=60s | +CONTAINERS=c | +IMAGES=busybox:1')
    const ownerReferences = [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'web', uid: 'u', controller: true }]
    const { object } = created(controllerRevision, { metadata: { ownerReferences }, revision: 3, data: {} })
    assert.equal(row(controllerRevision, object), 'NAME=one | CONTROLLER=statefulset.apps/web | REVISION=3 | AGE=60s')
  })
})

function claim() {
  return { metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }
}

describe('core templates', () => {
  it('replication controllers take labels and selector from the template', () => {
    const { object, wrong } = created(replicationController, { spec: { template } })
    assert.deepEqual([object.spec.selector, object.metadata.labels, object.spec.replicas, wrong], [{ app: 'web' }, { app: 'web' }, 1, []])
    assert.equal(
      row(replicationController, object),
      'NAME=one | DESIRED=1 | CURRENT=0 | READY=0 | AGE=60s | +CONTAINERS=c | +IMAGES=busybox:1 | +SELECTOR=app=web',
    )
    assert.deepEqual(created(replicationController, { spec: { selector: { app: 'db' }, template } }).wrong, [
      'spec.template.metadata.labels: Invalid value: {"app":"web"}: `selector` does not match template `labels`',
    ])
    const { object: pattern } = created(podTemplate, { template })
    assert.equal(row(podTemplate, pattern), 'NAME=one | CONTAINERS=c | IMAGES=busybox:1 | POD LABELS=app=web')
  })
})

describe('batch', () => {
  const { object: made, wrong } = created(job, { spec: { completions: 3, template: once } })
  const generated = {
    'batch.kubernetes.io/controller-uid': 'u-1',
    'batch.kubernetes.io/job-name': 'one',
    'controller-uid': 'u-1',
    'job-name': 'one',
  }

  it('defaults', () => {
    assert.deepEqual(wrong, [])
    assert.deepEqual(made.spec.selector, { matchLabels: { 'batch.kubernetes.io/controller-uid': 'u-1' } })
    assert.deepEqual([made.spec.template.metadata.labels, made.metadata.labels], [generated, generated])
    const { parallelism, backoffLimit, completionMode, suspend, podReplacementPolicy } = made.spec
    assert.deepEqual(
      [parallelism, backoffLimit, completionMode, suspend, podReplacementPolicy],
      [1, 6, 'NonIndexed', false, 'TerminatingOrFailed'],
    )
    const { object } = created(cronJob, { spec: { schedule: '@hourly', jobTemplate: { spec: { template: once } } } })
    const { concurrencyPolicy, suspend: paused, successfulJobsHistoryLimit, failedJobsHistoryLimit } = object.spec
    assert.deepEqual([concurrencyPolicy, paused, successfulJobsHistoryLimit, failedJobsHistoryLimit], ['Allow', false, 3, 1])
  })

  it('rules', () => {
    const cases: [object, string[]][] = [
      [{ template }, ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"']],
      [{ template: once, backoffLimit: -1 }, ['spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0']],
      [
        { template: once, completionMode: 'Indexed', parallelism: 2 },
        ['spec.completions: Required value: when completion mode is Indexed'],
      ],
      [{ template: once, backoffLimitPerIndex: 1 }, ['spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode']],
      [
        { template: once, podFailurePolicy: { rules: [{ action: 'Ignore' }] } },
        ['spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required'],
      ],
      [
        { template: once, podFailurePolicy: { rules: [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [3, 0] } }] } },
        [
          'spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator',
          'spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,0]: must be ordered',
        ],
      ],
      [
        { template: once, completionMode: 'Indexed', completions: 5, successPolicy: { rules: [{ succeededIndexes: '1-3,7' }] } },
        ['spec.successPolicy.rules[0].succeededIndexes: Invalid value: "1-3,7": error parsing succeededIndexes: too large index: "7"'],
      ],
      [
        { template: once, managedBy: 'me' },
        ['spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'],
      ],
      [
        { template: once, selector: { matchLabels: { a: 'b' } } },
        [
          'spec.selector: Invalid value: {"matchLabels":{"a":"b"}}: `selector` not auto-generated',
          `spec.template.metadata.labels: Invalid value: ${JSON.stringify(generated)}: \`selector\` does not match template \`labels\``,
        ],
      ],
    ]
    for (const [spec, expected] of cases) assert.deepEqual(created(job, { spec }).wrong, expected)
    const cron = (spec: object) =>
      created(cronJob, { spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: once } }, ...spec } }).wrong
    assert.deepEqual(cron({ timeZone: 'Europe/Berlin' }), [])
    assert.deepEqual(cron({ schedule: '0 3 * *' }), [
      'spec.schedule: Invalid value: "0 3 * *": expected exactly 5 fields, found 4: [0 3 * *]',
    ])
    assert.deepEqual(cron({ timeZone: 'Moon/Sea' }), ['spec.timeZone: Invalid value: "Moon/Sea": unknown time zone Moon/Sea'])
    assert.deepEqual(cron({ schedule: 'TZ=UTC 0 3 * * *' }), [
      'spec.schedule: Invalid value: "TZ=UTC 0 3 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
    ])
    const long = 'x'.repeat(53)
    assert.deepEqual(
      created(cronJob, { metadata: { name: long }, spec: { schedule: '@daily', jobTemplate: { spec: { template: once } } } }).wrong,
      [`metadata.name: Invalid value: "${long}": must be no more than 52 characters`],
    )
  })

  it('updates', () => {
    assert.deepEqual(
      updated(job, made, (j) => void (j.spec.parallelism = 2)),
      [],
    )
    assert.deepEqual(
      updated(job, made, (j) => void (j.spec.completions = 9)),
      ['spec.completions: Invalid value: 9: field is immutable'],
    )
    const image = (j: typeof made) => void (j.spec.template.spec.containers[0]!.image = 'busybox:2')
    assert.match(updated(job, made, image).join(), /^spec.template: Invalid value: .*: field is immutable$/)
    const { object: paused } = created(job, { spec: { suspend: true, template: once } })
    assert.deepEqual(
      updated(job, paused, (j) => void (j.spec.template.spec.nodeSelector = { a: 'b' })),
      [],
      'not started yet',
    )
    const started = { ...paused, status: { startTime: '2024-01-01T00:00:00Z' } }
    assert.equal(updated(job, started, (j) => void (j.spec.template.spec.nodeSelector = { a: 'b' })).length, 1)
  })

  it('columns', () => {
    const begun = { startTime: '2024-01-01T00:00:10Z' }
    assert.equal(
      row(job, { ...made, status: { ...begun, succeeded: 1 } }),
      'NAME=one | STATUS=Running | COMPLETIONS=1/3 | DURATION=50s | AGE=60s | +CONTAINERS=c | +IMAGES=busybox:1 | +SELECTOR=batch.kubernetes.io/controller-uid=u-1',
    )
    const conditions = [{ type: 'Complete' as const, status: 'True' as const }]
    const ended = { ...begun, completionTime: '2024-01-01T00:00:15Z', succeeded: 3, conditions }
    assert.match(row(job, { ...made, status: ended }), /STATUS=Complete \| COMPLETIONS=3\/3 \| DURATION=5s/)
    const { object } = created(cronJob, { spec: { schedule: '0 3 * * *', jobTemplate: { spec: { template: once } } } })
    assert.equal(
      row(cronJob, { ...object, status: { lastScheduleTime: '2024-01-01T00:00:30Z' } }),
      'NAME=one | SCHEDULE=0 3 * * * | TIMEZONE=<none> | SUSPEND=False | ACTIVE=0 | LAST SCHEDULE=30s | AGE=60s | +CONTAINERS=c | +IMAGES=busybox:1 | +SELECTOR=<none>',
    )
  })

  it('schedules', () => {
    const minutes = (text: string) => {
      const schedule = parseCron(text)
      return 'minutes' in schedule ? [...schedule.minutes] : schedule
    }
    assert.deepEqual(minutes('*/20 * * * *'), [0, 20, 40])
    assert.deepEqual(minutes('5/25,58-59 * * * *'), [5, 30, 55, 58, 59])
    assert.deepEqual(minutes('@every 1h30m'), { every: 5400 })
    const weekly = parseCron('0 0 13 jan-mar fri')
    assert.ok('weekdays' in weekly)
    assert.deepEqual([[...weekly.weekdays], [...weekly.months], weekly.anyDay], [[5], [1, 2, 3], true])
    for (const [text, why] of [
      ['', 'empty spec string'],
      ['60 * * * *', 'end of range (60) above maximum (59): 60'],
      ['* * 0 * *', 'beginning of range (0) below minimum (1): 0'],
      ['* * * * 7', 'end of range (7) above maximum (6): 7'],
      ['5-1 * * * *', 'beginning of range (5) beyond end of range (1): 5-1'],
      ['*/0 * * * *', 'step of range should be a positive number: */0'],
      ['x * * * *', 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'],
      ['@often', 'unrecognized descriptor: @often'],
    ] as const) {
      assert.throws(() => parseCron(text), { message: why })
    }
  })
})

describe('autoscaling and policy', () => {
  const scaleTargetRef = { kind: 'Deployment', name: 'web' }

  it('autoscalers', () => {
    const { object, wrong } = created(horizontalPodAutoscaler, {
      spec: { scaleTargetRef, maxReplicas: 3, behavior: { scaleUp: { selectPolicy: 'Min' } } },
    })
    assert.deepEqual(wrong, [])
    assert.equal(object.spec.minReplicas, 1)
    assert.deepEqual(object.spec.behavior?.scaleUp, {
      stabilizationWindowSeconds: 0,
      selectPolicy: 'Min',
      policies: [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ],
    })
    assert.equal(
      row(horizontalPodAutoscaler, object),
      'NAME=one | REFERENCE=Deployment/web | TARGETS=cpu: <unknown>/80% | MINPODS=1 | MAXPODS=3 | REPLICAS=0 | AGE=60s',
    )
    const bad = (spec: object) => created(horizontalPodAutoscaler, { spec: { scaleTargetRef, maxReplicas: 3, ...spec } }).wrong
    assert.deepEqual(bad({ minReplicas: 0 }), [
      'spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas',
    ])
    const external = { type: 'External', external: { metric: { name: 'queue' }, target: { type: 'Value', value: '1' } } }
    assert.deepEqual(bad({ minReplicas: 0, metrics: [external] }), [])
    assert.deepEqual(bad({ minReplicas: -1, metrics: [external] }), [
      'spec.minReplicas: Invalid value: -1: must be greater than or equal to 0',
    ])
    assert.deepEqual(bad({ minReplicas: 5 }), ['spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`'])
    assert.deepEqual(bad({ metrics: [{ type: 'Pods' }] }), [
      'spec.metrics[0].pods: Required value: must populate information for the given metric source',
    ])
    assert.deepEqual(bad({ metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization' } } }] }), [
      'spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization',
    ])
  })

  it('disruption budgets', () => {
    const { object } = created(podDisruptionBudget, { spec: { minAvailable: '50%', selector } })
    assert.equal(row(podDisruptionBudget, object), 'NAME=one | MIN AVAILABLE=50% | MAX UNAVAILABLE=N/A | ALLOWED DISRUPTIONS=0 | AGE=60s')
    assert.match(
      created(podDisruptionBudget, { spec: { minAvailable: 1, maxUnavailable: 1 } }).wrong.join(),
      /^spec: Invalid value: .*: minAvailable and maxUnavailable cannot be both set$/,
    )
    assert.deepEqual(created(podDisruptionBudget, { spec: { minAvailable: '101%' } }).wrong, [
      'spec.minAvailable: Invalid value: "101%": must not be greater than 100%',
    ])
  })
})
