// Admission as people meet it: by kubectl.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { patching, type WebhookServer, webhookServer } from '#control/extensions/webhook.fake.ts'
import { found, type KubectlServer, kubectlServer } from '../testing/kubectl.fake.ts'

const webhooks = (hooks: WebhookServer, i: number) => `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: sidecar${i}}
webhooks:
  - &hook
    name: sidecar${i}.example.com
    sideEffects: None
    admissionReviewVersions: [v1]
    clientConfig: {url: '${hooks.url('/sidecar')}', caBundle: ${hooks.caBundle}}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: admission${i}}}
    rules: [{operations: [CREATE], apiGroups: [''], apiVersions: [v1], resources: [pods]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: judge${i}}
webhooks:
  - name: judge${i}.example.com
    sideEffects: None
    admissionReviewVersions: [v1]
    clientConfig: {url: '${hooks.url('/judge')}', caBundle: ${hooks.caBundle}}
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: admission${i}}}
    rules: [{operations: ['*'], apiGroups: [''], apiVersions: [v1], resources: [pods, pods/exec, configmaps]}]
`
const policy = (i: number) => `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few${i}}
spec:
  matchConstraints:
    resourceRules: [{operations: [CREATE, UPDATE], apiGroups: [apps], apiVersions: [v1], resources: [deployments, deployments/scale]}]
  validations: [{expression: 'object.spec.replicas <= 2', message: no more than two}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few${i}}
spec:
  policyName: few${i}
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: admission${i}}}}
`
const bounds = `
apiVersion: v1
kind: LimitRange
metadata: {name: sizes}
spec: {limits: [{type: Container, default: {cpu: 300m}, max: {cpu: '1'}}]}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: room}
spec: {hard: {limits.cpu: '1', pods: '10', count/deployments.apps: '1'}}
`
const pod = (name: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}}
spec: {containers: [{name: c, image: 'busybox:1'}]}
`

describe('admission by kubectl', { skip: found.length === 0 && 'there is none on this machine', concurrency: true }, () => {
  let server: KubectlServer
  let hooks: WebhookServer
  before(async () => {
    hooks = await webhookServer()
    hooks.decide.set('/sidecar', () => patching([{ op: 'add', path: '/spec/containers/-', value: { name: 'side', image: 'busybox:1' } }]))
    hooks.decide.set('/judge', ({ name, subResource, operation }) => {
      if (operation === 'CONNECT') return { allowed: false, status: { code: 403, message: `no ${subResource} here` } }
      return name === 'bad' ? { allowed: false, status: { message: 'a bad name' } } : { allowed: true, warnings: [`${name} is new`] }
    })
    const files = found.flatMap((_, i) => [
      [`webhooks${i}.yaml`, webhooks(hooks, i)],
      [`policy${i}.yaml`, policy(i)],
    ])
    server = await kubectlServer({
      ...Object.fromEntries(files),
      'bounds.yaml': bounds,
      'a.yaml': pod('a'),
      'b.yaml': pod('b'),
      'bad.yaml': pod('bad'),
    })
  })
  after(async () => {
    await server?.close()
    await hooks?.close()
  })

  for (const [i, program] of found.entries()) {
    it(program.split('/').at(-1) ?? '', async () => {
      const { run, fails } = await server.kubectl(program, `admission${i}`)
      await run('apply', '-f', `webhooks${i}.yaml`)
      assert.match(await run('get', 'mutatingwebhookconfigurations', `sidecar${i}`), /NAME +WEBHOOKS +AGE\nsidecar\d +1 /)
      await run('apply', '-f', 'a.yaml')
      assert.equal(await run('get', 'pod', 'a', '-o', 'jsonpath={.spec.containers[*].name}'), 'c side')
      assert.match(
        await fails('create', '-f', 'bad.yaml'),
        /^Error from server: (error when creating "bad\.yaml": )?admission webhook "judge\d\.example\.com" denied the request: a bad name\n$/,
      )
      assert.match(await fails('create', 'configmap', 'bad', '--dry-run=server'), /denied the request: a bad name/)
      assert.match(await fails('exec', 'a', '--', 'true'), /admission webhook "judge\d\.example\.com" denied the request: no exec here/)
      assert.equal(await run('get', 'pods', '-o', 'name'), 'pod/a\n')

      await run('apply', '-f', `policy${i}.yaml`)
      await run('create', 'deployment', 'web', '--image=busybox:1', '--replicas=2')
      assert.match(
        await fails('scale', 'deployment/web', '--replicas=3'),
        /^The deployments "web" is invalid: : ValidatingAdmissionPolicy 'few\d' with binding 'few\d' denied request: no more than two\n$/,
      )
      assert.match(await run('get', 'validatingadmissionpolicies', `few${i}`), /few\d +1 +<unset> /)

      await run('delete', '-f', `webhooks${i}.yaml`)
      await run('apply', '-f', 'bounds.yaml')
      assert.match(
        await fails('create', 'deployment', 'more', '--image=busybox:1'),
        /exceeded quota: room, requested: count\/deployments\.apps=1, used: count\/deployments\.apps=1, limited: count\/deployments\.apps=1/,
      )
      await run('create', '-f', 'b.yaml')
      assert.match(
        await run('describe', 'quota', 'room'),
        /Name: +room\nNamespace: +admission\d\nResource +Used +Hard\n-+ +-+ +-+\ncount\/deployments\.apps +1 +1\nlimits\.cpu +300m +1\npods +2 +10\n/,
      )
      assert.match(await run('describe', 'limits', 'sizes'), /Container +cpu +- +1 +300m +300m +-/)
      assert.match(
        await run('describe', 'namespace', `admission${i}`),
        /Resource Quotas\n +Name: +room\n[^]*pods +2 +10\n\nResource Limits\n[^]*Container +cpu +- +1 +300m +300m +-/,
      )
      assert.match(await run('get', 'quota'), /room +count\/deployments\.apps: 1\/1, pods: 2\/10 +limits\.cpu: 300m\/1 /)
      assert.match(
        await fails(
          'run',
          'big',
          '--image=busybox:1',
          '--overrides={"spec":{"containers":[{"name":"big","image":"busybox:1","resources":{"limits":{"cpu":"2"}}}]}}',
        ),
        /maximum cpu usage per Container is 1, but limit is 2/,
      )
    })
  }
})
