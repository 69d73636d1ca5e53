// Rules for the containers of a pod spec: those of every list, and those that each list has of its own.

import type { Container, ContainerPort, ContainerRestartRule, EphemeralContainer, PodSpec } from '../../types/core-v1.gen.ts'
import { validateEnv } from './container-env.ts'
import { type Volumes, validateMounts } from './container-mounts.ts'
import { validateProbes } from './container-probes.ts'
import { validateResources } from './container-resources.ts'
import type { Faults } from './faults.ts'
import { isDns1123Label, isPortName } from './names.ts'
import { validateSecurity } from './security-context.ts'

const pullPolicies = ['Always', 'IfNotPresent', 'Never']
const protocols = ['SCTP', 'TCP', 'UDP']
const restartPolicies = ['Always', 'Never', 'OnFailure']
const most = { rules: 20, exitCodes: 255 }

/** What the rules of a container look up in its pod. */
type Around = {
  spec: PodSpec
  volumes: Volumes
  claims: ReadonlySet<string>
  hostUsers: boolean
  /** It is a pod, and no template. */
  isPod: boolean
}

export function validateContainers(at: string, spec: PodSpec, volumes: Volumes, isPod: boolean, faults: Faults): void {
  const claims = new Set(spec.resourceClaims?.map(({ name }) => name).filter(Boolean))
  const around: Around = { spec, volumes, claims, hostUsers: spec.hostUsers ?? true, isPod }
  const { containers, initContainers = [], ephemeralContainers = [] } = spec
  if (!containers?.length) faults.required(`${at}.containers`)
  const names = new Set<string>()
  const hostPorts = new Set<string>()
  for (const [i, container] of (containers ?? []).entries()) {
    const here = `${at}.containers[${i}]`
    validateContainer(here, container, names, around, faults)
    validateProbes(here, container, spec, faults)
    validateRestart(here, container, restartPolicies, faults)
    validateHostPorts(here, container.ports, hostPorts, faults)
  }
  for (const [i, container] of initContainers.entries()) {
    const here = `${at}.initContainers[${i}]`
    validateContainer(here, container, names, around, faults)
    validateRestart(here, container, restartPolicies, faults)
    // They run one by one: none takes another's port.
    validateHostPorts(here, container.ports, new Set(), faults)
    if (container.restartPolicy === 'Always') validateProbes(here, container, spec, faults)
    else validateNoProbes(here, container, faults)
  }
  const targets = new Set(names)
  for (const [i, container] of ephemeralContainers.entries()) {
    const here = `${at}.ephemeralContainers[${i}]`
    validateContainer(here, container, names, around, faults)
    validateEphemeral(here, container, targets, faults)
  }
}

function validateContainer(at: string, container: Container, names: Set<string>, around: Around, faults: Faults): void {
  if (!container.name) faults.required(`${at}.name`)
  else if (names.has(container.name)) faults.duplicate(`${at}.name`, container.name)
  else faults.each(`${at}.name`, container.name, isDns1123Label(container.name))
  names.add(container.name)
  if (!container.image) faults.required(`${at}.image`)
  else if (around.isPod && container.image.trim() !== container.image)
    faults.invalid(`${at}.image`, container.image, 'must not have leading or trailing whitespace')
  if (!container.terminationMessagePolicy) faults.required(`${at}.terminationMessagePolicy`)
  else faults.oneOf(`${at}.terminationMessagePolicy`, container.terminationMessagePolicy, ['File', 'FallbackToLogsOnError'])
  if (container.ports) validatePorts(at, container.ports, faults)
  validateEnv(at, container, around.volumes, faults)
  validateMounts(at, container, around.volumes, faults)
  if (!container.imagePullPolicy) faults.required(`${at}.imagePullPolicy`)
  else faults.oneOf(`${at}.imagePullPolicy`, container.imagePullPolicy, pullPolicies)
  validateResources(`${at}.resources`, container.resources, around.claims, faults)
  if (container.resizePolicy) validateResizePolicy(`${at}.resizePolicy`, container, around.spec, faults)
  validateSecurity(`${at}.securityContext`, container.securityContext, around.hostUsers, faults)
}

function validatePorts(at: string, ports: readonly ContainerPort[], faults: Faults): void {
  const names = new Set<string>()
  for (const [i, port] of ports.entries()) {
    const here = `${at}.ports[${i}]`
    if (port.name) {
      const wrong = isPortName(port.name)
      if (wrong.length > 0) faults.each(`${here}.name`, port.name, wrong)
      else if (names.has(port.name)) faults.duplicate(`${here}.name`, port.name)
      else names.add(port.name)
    }
    if (!port.containerPort) faults.required(`${here}.containerPort`)
    else faults.port(`${here}.containerPort`, port.containerPort)
    if (port.hostPort) faults.port(`${here}.hostPort`, port.hostPort)
    if (!port.protocol) faults.required(`${here}.protocol`)
    else faults.oneOf(`${here}.protocol`, port.protocol, protocols)
  }
}

function validateHostPorts(at: string, ports: readonly ContainerPort[] | undefined, taken: Set<string>, faults: Faults): void {
  for (const [i, port] of (ports ?? []).entries()) {
    if (!port.hostPort) continue
    const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`
    if (taken.has(key)) faults.duplicate(`${at}.ports[${i}].hostPort`, key)
    taken.add(key)
  }
}

function validateResizePolicy(at: string, { resizePolicy = [] }: Container, spec: PodSpec, faults: Faults): void {
  const seen = new Set<string>()
  for (const [i, { resourceName, restartPolicy }] of resizePolicy.entries()) {
    if (seen.has(resourceName)) faults.duplicate(`${at}[${i}]`, resourceName)
    seen.add(resourceName)
    if (!resourceName) faults.required(at)
    else faults.oneOf(at, resourceName, ['cpu', 'memory'])
    if (!restartPolicy) faults.required(at)
    else faults.oneOf(at, restartPolicy, ['NotRequired', 'RestartContainer'])
    if (spec.restartPolicy === 'Never' && restartPolicy !== 'NotRequired')
      faults.invalid(at, restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'")
  }
}

function validateRestart(at: string, { restartPolicy, restartPolicyRules: rules }: Container, policies: string[], faults: Faults): void {
  if (restartPolicy !== undefined) faults.oneOf(`${at}.restartPolicy`, restartPolicy, policies)
  if (!rules?.length) return
  if (restartPolicy === undefined) faults.required(`${at}.restartPolicy`, 'must specify restartPolicy when restart rules are used')
  if (rules.length > most.rules) faults.tooMany(`${at}.restartPolicyRules`, rules.length, most.rules)
  for (const [i, rule] of rules.entries()) validateRestartRule(`${at}.restartPolicyRules[${i}]`, rule, faults)
}

function validateRestartRule(at: string, { action, exitCodes }: ContainerRestartRule, faults: Faults): void {
  faults.oneOf(`${at}.action`, action ?? '', ['Restart', 'RestartAllContainers'])
  if (!exitCodes) return faults.required(`${at}.exitCodes`, 'must be specified')
  const { operator, values = [] } = exitCodes
  faults.oneOf(`${at}.exitCodes.operator`, operator ?? '', ['In', 'NotIn'])
  if (values.length === 0) faults.required(`${at}.exitCodes.values`)
  if (values.length > most.exitCodes) faults.tooMany(`${at}.exitCodes.values`, values.length, most.exitCodes)
}

/** An init container that ends is not asked how it is. */
function validateNoProbes(at: string, container: Container, faults: Faults): void {
  for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    if (container[field]) faults.forbidden(`${at}.${field}`, 'may not be set for init containers without restartPolicy=Always')
  }
}

const notEphemeral = [
  'ports',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
] as const

function validateEphemeral(at: string, container: EphemeralContainer, targets: ReadonlySet<string>, faults: Faults): void {
  const why = 'cannot be set for an Ephemeral Container'
  const target = container.targetContainerName
  if (target && !targets.has(target)) faults.notFound(`${at}.targetContainerName`, target)
  for (const field of notEphemeral) {
    const value = container[field]
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) faults.forbidden(`${at}.${field}`, why)
  }
  const { limits, requests, claims } = container.resources ?? {}
  if (limits || requests || claims?.length) faults.forbidden(`${at}.resources`, why)
  for (const [i, { subPath, subPathExpr }] of (container.volumeMounts ?? []).entries()) {
    if (subPath) faults.forbidden(`${at}.volumeMounts[${i}].subPath`, why)
    if (subPathExpr) faults.forbidden(`${at}.volumeMounts[${i}].subPathExpr`, why)
  }
}
