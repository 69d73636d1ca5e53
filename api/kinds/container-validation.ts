// Rules for the containers of a pod spec.

import { compareQuantity, isQuantity } from '../quantity.ts'
import type { Container, LifecycleHandler, PodSpec, Probe, ResourceRequirements } from '../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isDns1123Label, isEnvName, isPortName, isQualifiedName } from './names.ts'

const pullPolicies = ['Always', 'IfNotPresent', 'Never']
const protocols = ['SCTP', 'TCP', 'UDP']
const standardResources = ['cpu', 'memory', 'ephemeral-storage']

export function validateContainers(field: string, spec: PodSpec, volumes: Set<string>, faults: Faults): void {
  const names = new Set<string>()
  const hostPorts = new Set<string>()
  const lists = ['initContainers', 'containers', 'ephemeralContainers'] as const
  for (const list of lists) {
    for (const [i, container] of (spec[list] ?? []).entries()) {
      const at = `${field}.${list}[${i}]`
      if (!container.name) faults.required(`${at}.name`)
      else if (names.has(container.name)) faults.duplicate(`${at}.name`, container.name)
      else faults.each(`${at}.name`, container.name, isDns1123Label(container.name))
      names.add(container.name)
      validateContainer(at, container, volumes, faults)
      if (list === 'containers') validateHostPorts(at, container, hostPorts, faults)
      if (list === 'initContainers') validateInit(at, container, faults)
    }
  }
}

function validateContainer(at: string, container: Container, volumes: Set<string>, faults: Faults): void {
  if (!container.image) faults.required(`${at}.image`)
  else if (container.image.trim() !== container.image)
    faults.invalid(`${at}.image`, container.image, 'must not have leading or trailing whitespace')
  if (!container.imagePullPolicy) faults.required(`${at}.imagePullPolicy`)
  else faults.oneOf(`${at}.imagePullPolicy`, container.imagePullPolicy, pullPolicies)
  if (!['File', 'FallbackToLogsOnError'].includes(container.terminationMessagePolicy ?? 'File')) {
    faults.notSupported(`${at}.terminationMessagePolicy`, container.terminationMessagePolicy, ['FallbackToLogsOnError', 'File'])
  }
  validatePorts(at, container, faults)
  validateEnv(at, container, faults)
  validateMounts(at, container, volumes, faults)
  validateResources(`${at}.resources`, container.resources, faults)
  validateProbe(`${at}.livenessProbe`, container.livenessProbe, true, faults)
  validateProbe(`${at}.readinessProbe`, container.readinessProbe, false, faults)
  validateProbe(`${at}.startupProbe`, container.startupProbe, true, faults)
  for (const hook of ['postStart', 'preStop'] as const) {
    const handler = container.lifecycle?.[hook]
    if (handler) validateHandler(`${at}.lifecycle.${hook}`, handler, faults)
  }
}

function validateInit(at: string, container: Container, faults: Faults): void {
  if (container.restartPolicy === 'Always') return
  if (container.restartPolicy) faults.notSupported(`${at}.restartPolicy`, container.restartPolicy, ['Always'])
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle'] as const) {
    if (container[probe]) faults.forbidden(`${at}.${probe}`, 'may not be set for init containers without restartPolicy=Always')
  }
}

function validatePorts(at: string, container: Container, faults: Faults): void {
  const names = new Set<string>()
  for (const [i, port] of (container.ports ?? []).entries()) {
    const here = `${at}.ports[${i}]`
    if (port.name) {
      if (names.has(port.name)) faults.duplicate(`${here}.name`, port.name)
      else faults.each(`${here}.name`, port.name, isPortName(port.name))
      names.add(port.name)
    }
    if (!port.containerPort) faults.required(`${here}.containerPort`)
    else faults.port(`${here}.containerPort`, port.containerPort)
    if (port.hostPort) faults.port(`${here}.hostPort`, port.hostPort)
    if (!port.protocol) faults.required(`${here}.protocol`)
    else faults.oneOf(`${here}.protocol`, port.protocol, protocols)
  }
}

function validateHostPorts(at: string, container: Container, taken: Set<string>, faults: Faults): void {
  for (const [i, port] of (container.ports ?? []).entries()) {
    if (!port.hostPort) continue
    const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`
    if (taken.has(key)) faults.duplicate(`${at}.ports[${i}].hostPort`, key)
    taken.add(key)
  }
}

function validateEnv(at: string, container: Container, faults: Faults): void {
  for (const [i, variable] of (container.env ?? []).entries()) {
    const here = `${at}.env[${i}]`
    if (!variable.name) faults.required(`${here}.name`)
    else faults.each(`${here}.name`, variable.name, isEnvName(variable.name))
    if (!variable.valueFrom) continue
    const sources = Object.keys(variable.valueFrom)
    if (variable.value) faults.invalid(`${here}.valueFrom`, '', 'may not be specified when `value` is not empty')
    if (sources.length === 0)
      faults.invalid(`${here}.valueFrom`, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`')
    if (sources.length > 1) faults.invalid(`${here}.valueFrom`, '', 'may not have more than one field specified at a time')
    const { fieldRef, configMapKeyRef, secretKeyRef, resourceFieldRef } = variable.valueFrom
    if (fieldRef) validateFieldRef(`${here}.valueFrom.fieldRef`, fieldRef.fieldPath, faults)
    if (resourceFieldRef && !resourceFieldRef.resource) faults.required(`${here}.valueFrom.resourceFieldRef.resource`)
    if (configMapKeyRef) validateKeyRef(`${here}.valueFrom.configMapKeyRef`, configMapKeyRef, faults)
    if (secretKeyRef) validateKeyRef(`${here}.valueFrom.secretKeyRef`, secretKeyRef, faults)
  }
  for (const [i, source] of (container.envFrom ?? []).entries()) {
    const here = `${at}.envFrom[${i}]`
    if (!source.configMapRef && !source.secretRef) faults.invalid(here, '', 'must specify one of: `configMapRef` or `secretRef`')
    if (source.configMapRef && source.secretRef) faults.invalid(here, '', 'may not have more than one field specified at a time')
    if (source.configMapRef && !source.configMapRef.name) faults.required(`${here}.configMapRef.name`)
    if (source.secretRef && !source.secretRef.name) faults.required(`${here}.secretRef.name`)
  }
}

const fieldPaths = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
]

function validateFieldRef(at: string, path: string | undefined, faults: Faults): void {
  if (!path) faults.required(`${at}.fieldPath`)
  else if (!/^metadata\.(labels|annotations)\['.+'\]$/.test(path) && !fieldPaths.includes(path)) {
    faults.notSupported(`${at}.fieldPath`, path, fieldPaths)
  }
}

function validateKeyRef(at: string, ref: { name?: string; key?: string }, faults: Faults): void {
  if (!ref.name) faults.required(`${at}.name`)
  if (!ref.key) faults.required(`${at}.key`)
}

function validateMounts(at: string, container: Container, volumes: Set<string>, faults: Faults): void {
  const paths = new Set<string>()
  for (const [i, mount] of (container.volumeMounts ?? []).entries()) {
    const here = `${at}.volumeMounts[${i}]`
    if (!mount.name) faults.required(`${here}.name`)
    else if (!volumes.has(mount.name)) faults.notFound(`${here}.name`, mount.name)
    if (!mount.mountPath) faults.required(`${here}.mountPath`)
    else if (paths.has(mount.mountPath)) faults.invalid(`${here}.mountPath`, mount.mountPath, 'must be unique')
    paths.add(mount.mountPath)
    for (const part of ['subPath', 'subPathExpr'] as const) {
      const path = mount[part]
      if (path?.startsWith('/')) faults.invalid(`${here}.${part}`, path, 'must be a relative path')
      if (path?.split('/').includes('..')) faults.invalid(`${here}.${part}`, path, "must not contain '..'")
    }
    if (mount.subPath && mount.subPathExpr)
      faults.invalid(`${here}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive')
  }
}

export function validateResources(at: string, resources: ResourceRequirements | undefined, faults: Faults): void {
  for (const list of ['limits', 'requests'] as const) {
    for (const [name, amount] of Object.entries(resources?.[list] ?? {})) {
      const here = `${at}.${list}[${name}]`
      faults.each(here, name, isQualifiedName(name))
      if (!name.includes('/') && !standardResources.includes(name) && !name.startsWith('hugepages-')) {
        faults.invalid(here, name, 'must be a standard resource for containers')
      }
      if (!isQuantity(amount)) {
        faults.invalid(here, amount, "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
      } else if (compareQuantity(amount, '0') < 0) faults.invalid(here, amount, 'must be greater than or equal to 0')
      const limit = resources?.limits?.[name]
      if (list === 'requests' && limit !== undefined && isQuantity(limit) && isQuantity(amount) && compareQuantity(amount, limit) > 0) {
        faults.invalid(`${at}.requests`, amount, `must be less than or equal to ${name} limit of ${limit}`)
      }
    }
  }
}

function validateProbe(at: string, probe: Probe | undefined, onlyOneSuccess: boolean, faults: Faults): void {
  if (!probe) return
  validateHandler(at, probe, faults)
  for (const value of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'] as const) {
    faults.notNegative(`${at}.${value}`, probe[value])
  }
  if (onlyOneSuccess && probe.successThreshold !== undefined && probe.successThreshold !== 1) {
    faults.invalid(`${at}.successThreshold`, probe.successThreshold, 'must be 1')
  }
  if (probe.terminationGracePeriodSeconds !== undefined && probe.terminationGracePeriodSeconds <= 0) {
    faults.invalid(`${at}.terminationGracePeriodSeconds`, probe.terminationGracePeriodSeconds, 'must be greater than 0')
  }
}

function validateHandler(at: string, handler: LifecycleHandler & Pick<Probe, 'grpc'>, faults: Faults): void {
  const kinds = (['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const).filter((k) => handler[k])
  if (kinds.length === 0) faults.required(at, 'must specify a handler type')
  for (const extra of kinds.slice(1)) faults.forbidden(`${at}.${extra}`, 'may not specify more than 1 handler type')
  if (handler.exec && !handler.exec.command?.length) faults.required(`${at}.exec.command`)
  if (handler.httpGet) {
    if (!handler.httpGet.path) faults.required(`${at}.httpGet.path`)
    validatePortRef(`${at}.httpGet.port`, handler.httpGet.port, faults)
    faults.oneOf(`${at}.httpGet.scheme`, handler.httpGet.scheme, ['HTTP', 'HTTPS'])
  }
  if (handler.tcpSocket) validatePortRef(`${at}.tcpSocket.port`, handler.tcpSocket.port, faults)
  if (handler.grpc) faults.port(`${at}.grpc.port`, handler.grpc.port)
}

/** A port by number or by the name of a container port. */
export function validatePortRef(field: string, port: number | string | undefined, faults: Faults): void {
  if (typeof port === 'string') faults.each(field, port, isPortName(port))
  else faults.port(field, port ?? 0)
}
