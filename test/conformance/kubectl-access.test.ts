// kubectl and what it asks about the server, about rights, and for credentials.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { eventually } from '../cluster/eventually.ts'
import { attempt } from '../cluster/shell.ts'
import { withEachKubectl } from './kubectl.ts'
import { testServer } from './server.ts'

withEachKubectl(await testServer(), 'access', ({ k, fails, run, json, file, namespace, program }) => {
  it('explain, with descriptions, and --recursive', async () => {
    assert.match(await k('explain deployment.spec.strategy'), /KIND: +Deployment[^]*DESCRIPTION:\n +\S[^]*rollingUpdate/)
    const rolling = await k('explain deployment.spec.strategy.rollingUpdate')
    assert.match(
      rolling,
      /maxUnavailable\t<\S+>\n +The maximum number of pods that can be/,
      'a field says what it is for, not what an IntOrString is',
    )
    const whole = await k('explain pod --recursive')
    assert.match(whole, /ephemeralContainers[^]*livenessProbe[^]*hostIP/)
    assert.ok(whole.split('\n').length > 700, 'all fields of a pod')
    assert.match(await k('explain cronjobs.spec.jobTemplate.spec'), /backoffLimit/)
    assert.match(await k('explain hpa --api-version=autoscaling/v1'), /VERSION: +(autoscaling\/)?v1/)
    assert.match(await fails('explain pod.nonsense'), /field "nonsense" does not exist/)
  })

  it('api-resources, api-versions, version, cluster-info', async () => {
    assert.match(await k('api-resources'), /^configmaps +cm +v1 +true +ConfigMap$/m)
    assert.match(
      await k('api-resources -o wide --api-group=apps'),
      /deployments +deploy +apps\/v1 +true +Deployment +create,delete,deletecollection/,
    )
    assert.match(await k('api-resources --verbs=list,watch --namespaced=false -o name'), /^nodes$/m)
    assert.match(await k('api-versions'), /^apps\/v1$/m)
    assert.match(await k('version'), /Server Version: .*v1\.33/)
    assert.match(await k('cluster-info'), /Kubernetes control plane.* is running at/)
    assert.match(await k(`cluster-info dump --namespaces ${namespace}`), /"kind": "(ConfigMap|Event|Pod|Service)List"/)
  })

  it('auth can-i, for oneself and for others; whoami', async () => {
    await k('create serviceaccount robot')
    await k('create role reader --verb=get,list --resource=pods,pods/log')
    assert.match(await k('auth can-i create pods'), /^yes/)
    assert.match(await k('auth can-i --list'), /\*\.\* +\[\] +\[\] +\[\*\]/)
    const robot = `--as=system:serviceaccount:${namespace}:robot`
    const asked = await run(`auth can-i delete pods ${robot}`)
    assert.deepEqual([asked.code, asked.stdout.trim()], [1, 'no'])
    await k(`create rolebinding robots --role=reader --serviceaccount=${namespace}:robot`)
    await eventually(async () => assert.match(await k(`auth can-i list pods ${robot}`), /^yes/))
    assert.match(await k(`auth can-i get pods --subresource=log ${robot}`), /^yes/)
    assert.match(await k(`auth can-i --list ${robot}`), /pods\/log +\[\] +\[\] +\[get list\]/)
    assert.match(await fails(`get configmap ${robot}`), /is forbidden: User "system:serviceaccount:.*" cannot list resource "configmaps"/)
    assert.equal(await k(`get pods -o name --field-selector=metadata.name=none ${robot}`), '')
    assert.match(await k('auth whoami'), /Username/)
    assert.match(
      await k(
        'auth reconcile -f -',
        `apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: ${namespace}}\nrules: [{apiGroups: [""], resources: [pods, services], verbs: [get, list]}]\n`,
      ),
      /reconciled/,
    )
  })

  it('create token, and using it', async () => {
    const token = (await k('create token robot --duration=10m')).trim()
    const server = (await k('config view --minify -o jsonpath={.clusters[0].cluster.server}')).trim()
    const config = await file('config', '')
    const asRobot = (...args: string[]) =>
      attempt(program, [`--kubeconfig=${config}`, `--server=${server}`, '--insecure-skip-tls-verify', `--token=${token}`, ...args])
    assert.equal((await asRobot('-n', namespace, 'get', 'pods')).code, 0)
    assert.match((await asRobot('-n', namespace, 'get', 'secrets')).stderr, /Forbidden/)
    const bad = await attempt(program, [
      `--kubeconfig=${config}`,
      `--server=${server}`,
      '--insecure-skip-tls-verify',
      '--token=nonsense',
      'get',
      'pods',
    ])
    assert.match(bad.stderr, /Unauthorized|must be logged in/)
    assert.match(await fails('create token robot --duration=1m'), /10 minutes|may not specify a duration less/)
    await k('create secret generic bound')
    assert.match(await k('create token robot --bound-object-kind=Secret --bound-object-name=bound'), /^ey/)
  })

  it('certificate approve and deny', async () => {
    const { stdout: pem } = await attempt('openssl', [
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      '/dev/null',
      '-subj',
      '/CN=jane',
    ])
    const request = (name: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: ${name}-${namespace} }
spec: { request: ${Buffer.from(pem).toString('base64')}, signerName: example.com/signer, usages: [client auth] }
`
    await k('create -f -', request('good'))
    await k('create -f -', request('bad'))
    assert.match(await k(`certificate approve good-${namespace}`), /approved/)
    assert.match(await k(`certificate deny bad-${namespace}`), /denied/)
    assert.match(await k(`get csr good-${namespace}`), /Approved/)
    assert.match(await fails(`certificate deny good-${namespace}`), /./)
    await k(`delete csr good-${namespace} bad-${namespace}`)
  })

  it('certificate approve: the certificate that is issued is who one is', async () => {
    const key = await file('jane.key', '')
    const jane = `jane-${namespace}`
    const { stdout: pem } = await attempt('openssl', [
      'req',
      '-new',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      key,
      '-subj',
      `/O=devs/CN=${jane}`,
    ])
    const request = (name: string, text: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: ${name} }
spec:
  request: ${Buffer.from(text).toString('base64')}
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 3600
  usages: [client auth]
`
    await k('create -f -', request(jane, pem))
    await k(`certificate approve ${jane}`)
    const certificate = await eventually(async () => {
      const { status } = await json(`get csr ${jane}`)
      assert.ok(status.certificate)
      return Buffer.from(status.certificate, 'base64').toString()
    })
    assert.match(await k(`get csr ${jane}`), /Approved,Issued/)
    const cert = await file('jane.crt', certificate)
    await k(`create rolebinding jane --clusterrole=view --user=${jane}`)
    await k(`config set-credentials ${jane} --client-certificate=${cert} --client-key=${key}`)
    const asJane = `--user=${jane}`
    await eventually(async () => assert.equal(await k(`get pods -o name ${asJane}`), ''))
    assert.match(await fails(`create configmap x ${asJane}`), new RegExp(`User "${jane}" cannot create resource "configmaps"`))
    assert.match(await k(`auth whoami ${asJane} -o yaml`), /devs/)
    const { stdout: grab } = await attempt('openssl', ['req', '-new', '-key', key, '-subj', '/O=system:masters/CN=jane'])
    const refused = await run('create -f -', { input: request(`${jane}-2`, grab) })
    assert.match(refused.stderr, /use of kubernetes.io\/kube-apiserver-client signer with system:masters group is not allowed/)
    await k(`delete csr ${jane}`)
  })
})
