// Descriptions of what no package describes, in our own words: by the type's OpenAPI name, then by field;
// '' is the type itself.

const schemaProps: Readonly<Record<string, string>> = {
  id: 'id is a URI that identifies the schema.',
  $schema: '$schema is the URI of the dialect that the schema is written in.',
  $ref: '$ref refers to another schema. Definitions of custom resources may not use it.',
  description: 'description says in words what the value is for. It is what `kubectl explain` shows.',
  type: 'type is the JSON type of the value: array, boolean, integer, number, object or string.',
  title: 'title is a short name of the value, for people.',
  maximum: 'maximum is the largest number that is valid.',
  exclusiveMaximum: 'exclusiveMaximum says that the number must be smaller than maximum, and not equal.',
  minimum: 'minimum is the smallest number that is valid.',
  exclusiveMinimum: 'exclusiveMinimum says that the number must be larger than minimum, and not equal.',
  maxLength: 'maxLength is the largest number of characters that a string may have.',
  minLength: 'minLength is the smallest number of characters that a string must have.',
  pattern: 'pattern is a regular expression that a string must match somewhere.',
  maxItems: 'maxItems is the largest number of items that an array may have. It bounds what rules over the array may cost.',
  minItems: 'minItems is the smallest number of items that an array must have.',
  uniqueItems: 'uniqueItems says that no two items may be equal. It must not be true in custom resources; use x-kubernetes-list-type.',
  multipleOf: 'multipleOf is what a number must be a multiple of.',
  enum: 'enum lists the only values that are valid.',
  maxProperties:
    'maxProperties is the largest number of properties that an object may have. It bounds what rules over the object may cost.',
  minProperties: 'minProperties is the smallest number of properties that an object must have.',
  required: 'required names the properties that an object must have.',
  items: 'items is the schema of each item of an array.',
  allOf: 'allOf lists schemas all of which the value must satisfy.',
  oneOf: 'oneOf lists schemas of which the value must satisfy exactly one.',
  anyOf: 'anyOf lists schemas of which the value must satisfy at least one.',
  not: 'not is a schema that the value must not satisfy.',
  properties: 'properties holds the schema of each property of an object, by name.',
  additionalProperties: 'additionalProperties is the schema of all properties that are not named.',
  patternProperties: 'patternProperties holds schemas by patterns of names. Custom resources may not use it.',
  dependencies: 'dependencies says what the presence of a property asks for. Custom resources may not use it.',
  additionalItems: 'additionalItems is the schema of items beyond those that items lists. Custom resources may not use it.',
  definitions: 'definitions holds schemas that others refer to. Custom resources may not use it.',
  externalDocs: 'externalDocs points to documentation elsewhere.',
  example: 'example is a value that is valid, for documentation only.',
  nullable: 'nullable says that the value may be null. A null where a default exists and nullable is false is replaced by the default.',
}

const core = 'io.k8s.api.core.v1'
const crd = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1'
const machinery = 'io.k8s.apimachinery.pkg'
const proxied = 'path is what is asked of the server behind: the rest of the URL and its query.'
const streams: Readonly<Record<string, string>> = {
  stdin: 'stdin says whether the standard input is redirected to the container.',
  stdout: 'stdout says whether the standard output is redirected to the caller.',
  stderr: 'stderr says whether the standard error is redirected to the caller.',
  tty: 'tty says whether the streams are those of a terminal.',
  container: 'container is the name of the container. Only a pod with one container may do without.',
}
const metrics = 'io.k8s.metrics.pkg.apis.metrics.v1beta1'
const timestamp = 'timestamp is when the usage was measured: the end of the interval.'
const window = 'window is the length of the interval over which the usage is an average.'

export const ownWords: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [`${core}.NodeProxyOptions`]: { '': 'NodeProxyOptions is what is asked of a node through the API server.', path: proxied },
  [`${core}.PodProxyOptions`]: { '': 'PodProxyOptions is what is asked of a pod through the API server.', path: proxied },
  [`${core}.ServiceProxyOptions`]: { '': 'ServiceProxyOptions is what is asked of a service through the API server.', path: proxied },
  [`${core}.PodAttachOptions`]: { '': 'PodAttachOptions says how to attach to a running container.', ...streams },
  [`${core}.PodExecOptions`]: {
    '': 'PodExecOptions says what to run in a container, and how.',
    ...streams,
    command: 'command is the program and its arguments. No shell is involved.',
  },
  [`${core}.PodPortForwardOptions`]: {
    '': 'PodPortForwardOptions says which ports of a pod to connect to.',
    ports: 'ports are the numbers of the ports; clients over WebSocket must give them.',
  },
  [`${crd}.JSONSchemaProps`]: schemaProps,
  [`${crd}.JSONSchemaPropsOrArray`]: { '': 'JSONSchemaPropsOrArray is a schema, or a list of schemas.' },
  [`${crd}.JSONSchemaPropsOrBool`]: { '': 'JSONSchemaPropsOrBool is a schema, or whether anything is valid.' },
  [`${crd}.JSONSchemaPropsOrStringArray`]: { '': 'JSONSchemaPropsOrStringArray is a schema, or a list of names.' },
  [`${crd}.ExternalDocumentation`]: {
    description: 'description says in words what is found there.',
    url: 'url is the address of the documentation.',
  },
  [`${machinery}.api.resource.Quantity`]: {
    '': 'Quantity is a number with a suffix: a decimal one (m, k, M, G, T, P, E), a binary one (Ki, Mi, Gi, Ti, Pi, Ei) or an exponent, such as 500m, 1.5Gi or 2e3. Equal quantities are written in one form.',
  },
  [`${machinery}.util.intstr.IntOrString`]: { '': 'IntOrString is an integer, or a string such as a percentage or the name of a port.' },
  [`${machinery}.apis.meta.v1.Duration`]: { '': 'Duration is a length of time, such as 1h30m or 500ms.' },
  [`${machinery}.apis.meta.v1.MicroTime`]: { '': 'MicroTime is a point in time to the microsecond, as RFC 3339 has it.' },
  [`${machinery}.apis.meta.v1.Time`]: { '': 'Time is a point in time to the second, as RFC 3339 has it.' },
  [`${machinery}.apis.meta.v1.FieldsV1`]: { '': 'FieldsV1 is a set of fields of an object, as a tree in JSON.' },
  [`${machinery}.runtime.RawExtension`]: { '': 'RawExtension is an object of any kind.' },
  [`${metrics}.NodeMetrics`]: {
    '': 'NodeMetrics is what a node uses: all that runs on it together.',
    timestamp,
    window,
    usage: 'usage is what the node uses of each resource, processor time and memory among them.',
  },
  [`${metrics}.NodeMetricsList`]: { '': 'NodeMetricsList is a list of NodeMetrics.', items: 'items are the metrics, one for each node.' },
  [`${metrics}.PodMetricsList`]: { '': 'PodMetricsList is a list of PodMetrics.', items: 'items are the metrics, one for each pod.' },
  [`${metrics}.PodMetrics`]: {
    '': 'PodMetrics is what a pod uses, by container.',
    timestamp,
    window,
    containers: 'containers are the running containers of the pod, each with what it uses.',
  },
  [`${metrics}.ContainerMetrics`]: {
    '': 'ContainerMetrics is what one container uses.',
    name: 'name is that of the container in the pod.',
    usage: 'usage is what the container uses of each resource, processor time and memory among them.',
  },
}

/** Of fields that every kind has alike. */
export const common: Readonly<Record<string, string>> = {
  kind: 'kind names the type of this object, in CamelCase. It cannot be changed.',
  apiVersion: 'apiVersion names the group and version of the schema that this object is written in.',
  metadata: 'metadata holds what every object has: its name, labels, annotations, owners and versions.',
  spec: 'spec is what is wanted.',
  status: 'status is what was last observed. It may lag behind, and is written by the cluster.',
}
