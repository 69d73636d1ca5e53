// Content negotiation: which form of an answer the client wants.

import { StatusError } from '#api/errors.ts'

export type View = {
  format: 'json' | 'yaml' | 'protobuf'
  /** The shape: as it is, a table for people, or metadata only. */
  as: 'object' | 'Table' | 'PartialObjectMetadata'
  /** Of meta.k8s.io, for tables and partial objects. */
  version: string
}

const plain: View = { format: 'json', as: 'object', version: 'v1' }

const formats = new Map<string, View['format']>([
  ['application/json', 'json'],
  ['application/yaml', 'yaml'],
  ['application/vnd.kubernetes.protobuf', 'protobuf'],
])

export type Offer = {
  /** A watch: YAML has no frames. */
  watch?: boolean
  /** There is no protobuf message for the object, but for its metadata. */
  schemaless?: boolean
  /** The object has no metadata or rows that could be shown without the rest. */
  whole?: boolean
}

/** The first clause of an Accept header that can be served. Throws NotAcceptable. */
export function viewOf(accept: string | undefined, { watch = false, schemaless = false, whole = false }: Offer = {}): View {
  if (!accept) return plain
  for (const { type, parameters } of clausesOf(accept)) {
    if (type === '*/*' || type === 'application/*') return plain
    const format = formats.get(type)
    if (!format || (format === 'yaml' && watch)) continue
    const as = parameters.get('as')
    if (!as) {
      if (format === 'protobuf' && schemaless) continue
      return { ...plain, format }
    }
    const version = parameters.get('v') ?? ''
    if (whole) continue
    if (parameters.get('g') !== 'meta.k8s.io' || !['v1', 'v1beta1'].includes(version)) continue
    if (as === 'Table' && format !== 'protobuf') return { format, as, version }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { format, as: 'PartialObjectMetadata', version }
  }
  const offered = [...formats].filter(([, format]) => !(format === 'yaml' && watch) && !(format === 'protobuf' && schemaless))
  throw new StatusError('NotAcceptable', `only the following media types are accepted: ${offered.map(([type]) => type).join(', ')}`)
}

/** Of a failure, which must be told somehow. */
export function failureFormatOf(accept: string | undefined): 'json' | 'protobuf' {
  try {
    return viewOf(accept).format === 'protobuf' ? 'protobuf' : 'json'
  } catch {
    return 'json'
  }
}

/** The version of apidiscovery.k8s.io that the client prefers; undefined: the legacy documents. */
export function discoveryVersionOf(accept: string | undefined): 'v2' | 'v2beta1' | undefined {
  for (const { type, parameters } of clausesOf(accept ?? '')) {
    if (type !== 'application/json' && type !== '*/*') continue
    if (!parameters.get('as')) return undefined
    const version = parameters.get('v')
    if (parameters.get('as') === 'APIGroupDiscoveryList' && parameters.get('g') === 'apidiscovery.k8s.io') {
      if (version === 'v2' || version === 'v2beta1') return version
    }
  }
  return undefined
}

type Clause = { type: string; parameters: Map<string, string> }

/** In the order of preference: by `q`, then as written. */
function clausesOf(accept: string): Clause[] {
  const clauses = accept.split(',', 64).map((clause) => {
    const [type = '', ...rest] = clause.split(';').map((part) => part.trim())
    return { type: type.toLowerCase(), parameters: new Map(rest.map((p) => split(p))) }
  })
  const weight = (clause: Clause) => Number(clause.parameters.get('q') ?? 1) || 0
  return clauses.filter((c) => weight(c) > 0).sort((a, b) => weight(b) - weight(a))
}

function split(parameter: string): [string, string] {
  const at = parameter.indexOf('=')
  return at < 0 ? [parameter, ''] : [parameter.slice(0, at), parameter.slice(at + 1)]
}
