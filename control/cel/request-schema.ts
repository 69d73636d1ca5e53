// What expressions know as `request` (admission.k8s.io/v1 AdmissionRequest without its objects).

import type { JsonSchema } from '#api/schema/crd/json-schema.ts'

const text: JsonSchema = { type: 'string' }
const fields = (...names: string[]): JsonSchema => ({ type: 'object', properties: Object.fromEntries(names.map((name) => [name, text])) })
const texts: JsonSchema = { type: 'array', items: text }
const kind = fields('group', 'version', 'kind')
const resource = fields('group', 'version', 'resource')

export const requestSchema: JsonSchema = {
  type: 'object',
  properties: {
    kind,
    resource,
    subResource: text,
    requestKind: kind,
    requestResource: resource,
    requestSubResource: text,
    name: text,
    namespace: text,
    operation: text,
    userInfo: {
      type: 'object',
      properties: { username: text, uid: text, groups: texts, extra: { type: 'object', additionalProperties: texts } },
    },
    dryRun: { type: 'boolean' },
    options: { type: 'object' },
  },
}
