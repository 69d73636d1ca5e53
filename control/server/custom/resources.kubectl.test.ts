// Custom resources as people meet them: from the definition to the last object, by kubectl.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { found, type KubectlServer, kubectlServer } from '../testing/kubectl.fake.ts'

const definition = (group: string) => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.${group}}
spec:
  group: ${group}
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd], categories: ['${categoryOf(group)}']}
  versions:
    - name: v1
      served: true
      storage: true
      subresources:
        status: {}
        scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}
      additionalPrinterColumns:
        - {name: Replicas, type: integer, jsonPath: .spec.replicas}
        - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
        - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
      schema:
        openAPIV3Schema:
          type: object
          description: A widget of the test.
          properties:
            spec:
              type: object
              required: [color]
              properties:
                color: {type: string, description: What it is painted in., enum: [red, blue]}
                replicas: {type: integer, default: 1, minimum: 0}
                parts:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items:
                    type: object
                    required: [name]
                    properties: {name: {type: string}, size: {type: integer}}
            status:
              type: object
              x-kubernetes-preserve-unknown-fields: true
`
const widget = (group: string, spec: string) => `
apiVersion: ${group}/v1
kind: Widget
metadata: {name: one}
spec: ${spec}
`
const groupOf = (i: number) => `g${i}.example.com`
/** Of its own: the definition of the other kubectl comes and goes meanwhile. */
const categoryOf = (group: string) => `all-of-${group.split('.')[0]}`

describe('custom resources by kubectl', { skip: found.length === 0 && 'there is none on this machine', concurrency: true }, () => {
  let server: KubectlServer
  before(async () => {
    const files = found.flatMap((_, i) => [
      [`definition${i}.yaml`, definition(groupOf(i))],
      [`widget${i}.yaml`, widget(groupOf(i), '{color: red, parts: [{name: a}]}')],
      [`blue${i}.yaml`, widget(groupOf(i), '{color: blue, replicas: 2, parts: [{name: a, size: 1}, {name: b}]}')],
      [`green${i}.yaml`, widget(groupOf(i), '{color: green}')],
      [`typo${i}.yaml`, widget(groupOf(i), '{color: red, colour: red}')],
    ])
    server = await kubectlServer({
      ...Object.fromEntries(files),
      'gadget.yaml': 'apiVersion: v1\nkind: Gadget\nmetadata: {name: x}\n',
    })
  })
  after(() => server?.close())

  for (const [i, program] of found.entries()) {
    it(program.split('/').at(-1) ?? '', async () => {
      const { run, fails } = await server.kubectl(program, `custom${i}`)
      const group = groupOf(i)
      assert.match(await fails('apply', '-f', 'gadget.yaml'), /no matches for kind "Gadget" in version "v1"/)
      assert.match(await fails('apply', '-f', `widget${i}.yaml`), /no matches for kind "Widget"/)

      assert.match(await run('create', '-f', `definition${i}.yaml`), /created/)
      await run('wait', '--for=condition=established', `crd/widgets.${group}`, '--timeout=5s')
      assert.match(await run('get', 'crd', `widgets.${group}`), /^NAME +CREATED AT\nwidgets\.g\d\.example\.com +\d{4}-/)
      assert.match(await run('api-resources', `--api-group=${group}`), /widgets +wd +g\d\.example\.com\/v1 +true +Widget/)
      assert.match(await run('explain', `widgets.${group}`), /A widget of the test\.[^]*spec\s+<Object>/)
      assert.match(
        await run('explain', `widgets.${group}.spec`),
        /color\s+<string> -required-[^]*What it is painted in\.[^]*replicas\s+<integer>/,
      )

      assert.match(await run('apply', '-f', `widget${i}.yaml`), /widget\.\S+\/one created/)
      assert.match(await run('apply', '-f', `widget${i}.yaml`), /unchanged/)
      assert.match(await run('get', `wd.${group}`), /^NAME +REPLICAS +READY +AGE\none +1 + +\d+s/)
      assert.match(await run('apply', '-f', `blue${i}.yaml`), /configured/)
      assert.match(await fails('apply', '-f', `green${i}.yaml`), /spec\.color: Unsupported value: "green": supported values: "red", "blue"/)
      assert.match(await fails('apply', '-f', `typo${i}.yaml`), /unknown field "spec\.colour"/)
      assert.match(await run('diff', '-f', `blue${i}.yaml`), /^$/)

      await run('patch', `widgets.${group}`, 'one', '--type=merge', '-p', '{"spec":{"color":"red"}}')
      await run('patch', `widgets.${group}`, 'one', '--type=json', '-p', '[{"op":"replace","path":"/spec/parts/0/size","value":7}]')
      assert.match(await fails('patch', `widgets.${group}`, 'one', '-p', '{"spec":{"color":"red"}}'), /application\/merge-patch\+json/)
      assert.equal(await run('get', `widgets.${group}`, 'one', '-o', 'jsonpath={.spec.parts[0].size} {.spec.color}'), '7 red')
      const ready = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
      await run('patch', `widgets.${group}`, 'one', '--subresource=status', '--type=merge', '-p', ready)
      assert.match(await run('get', `widgets.${group}`), /one +2 +True/)
      assert.match(await run('scale', `widgets.${group}`, 'one', '--replicas=5'), /scaled/)
      assert.match(await run('get', categoryOf(group)), /^one +5 +True/m)
      await run('label', `widgets.${group}`, 'one', 'tier=front')
      assert.match(await run('apply', '--server-side', '--force-conflicts', '-f', `widget${i}.yaml`), /serverside-applied/)
      assert.match(await run('describe', `widgets.${group}`, 'one'), /Color: +red/)

      await run('delete', `widgets.${group}`, 'one')
      await run('apply', '-f', `widget${i}.yaml`)
      assert.match(await run('delete', '-f', `definition${i}.yaml`), /deleted/)
      assert.match(await fails('get', `widgets.${group}`), /the server doesn't have a resource type/)
    })
  }
})
