// Definitions of custom resources for tests, and waiting for what becomes of them.

import { CustomResourceDefinition } from '#api/kinds/index.ts'
import type { Json, Trial } from '../testing/trial.fake.ts'

/** A part of a schema. */
export type Props = Json

type Options = { schema?: Props; version?: Json; versions?: Json[]; scope?: 'Cluster' | 'Namespaced'; spec?: Json; group?: string }

export const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

/** `widgets` of kind Widget, in example.com. */
export function definition(
  plural: string,
  { schema = { type: 'object' }, version, versions, scope = 'Namespaced', spec, group = 'example.com' }: Options,
): Json {
  const kind = `${plural[0]?.toUpperCase()}${plural.slice(1)}`.replace(/s$/, '')
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope,
      names: { plural, kind },
      versions: versions ?? [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, ...version }],
      ...spec,
    },
  }
}

/** Resolves once the server has taken it up; updates one that is there. */
export async function establish(server: Trial, object: Json): Promise<void> {
  const { name } = object.metadata
  let made = await server.ask('POST', definitions, object)
  if (made.code === 409)
    made = await server.ask('PATCH', `${definitions}/${name}`, object, { headers: { 'content-type': 'application/merge-patch+json' } })
  if (made.code > 201) throw new Error(made.body.message)
  const { generation } = made.body.metadata
  await until(server, name, (definition) => definition?.status.observedGeneration === generation)
}

/** Resolves once the definition is as `test` wants it; undefined: it is gone. */
export async function until(
  server: Trial,
  name: string,
  test: (definition: CustomResourceDefinition | undefined) => boolean,
): Promise<void> {
  if (!(await server.client.find(CustomResourceDefinition, { name })) && test(undefined)) return
  const signal = AbortSignal.timeout(5000)
  for await (const { type, object } of server.client.watch(CustomResourceDefinition, { fieldSelector: `metadata.name=${name}`, signal })) {
    if (test(type === 'DELETED' ? undefined : object)) return
  }
  throw new Error(`${name} did not become what it should`)
}
