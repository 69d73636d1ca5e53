// Rules for what is asked of a container while it runs: probes, and hooks at its start and end.

import type { Container, LifecycleHandler, PodSpec, Probe } from '../../types/core-v1.gen.ts'
import type { Faults } from './faults.ts'
import { isPortName } from './names.ts'

type Handler = LifecycleHandler & Pick<Probe, 'grpc'>
const kinds = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const
const counts = ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'] as const

export function validateProbes(at: string, container: Container, spec: PodSpec, faults: Faults): void {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container
  const grace = spec.terminationGracePeriodSeconds
  if (lifecycle?.postStart) validateHandler(`${at}.lifecycle.postStart`, lifecycle.postStart, grace, faults)
  if (lifecycle?.preStop) validateHandler(`${at}.lifecycle.preStop`, lifecycle.preStop, grace, faults)
  if (lifecycle?.stopSignal !== undefined) validateStopSignal(`${at}.lifecycle.stopSignal`, lifecycle.stopSignal, spec, faults)
  if (livenessProbe) validateProbe(`${at}.livenessProbe`, livenessProbe, faults)
  if (readinessProbe) validateProbe(`${at}.readinessProbe`, readinessProbe, faults)
  if (startupProbe) validateProbe(`${at}.startupProbe`, startupProbe, faults)
  // Of these two one success is all that counts, and only they may end the container.
  if (livenessProbe) validateOneSuccess(`${at}.livenessProbe`, livenessProbe, faults)
  if (startupProbe) validateOneSuccess(`${at}.startupProbe`, startupProbe, faults)
  const own = readinessProbe?.terminationGracePeriodSeconds
  if (own !== undefined) faults.invalid(`${at}.readinessProbe.terminationGracePeriodSeconds`, own, 'must not be set for readinessProbes')
}

const numbered = (base: string, sign: string, most: number) => Array.from({ length: most }, (_, i) => `${base}${sign}${i + 1}`)
/** signal(7); those in real time by their distance from either end. */
const signals: ReadonlySet<string> = new Set([
  ...'ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM'
    .split(' ')
    .map((name) => `SIG${name}`),
  ...'TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ RTMIN RTMAX'.split(' ').map((name) => `SIG${name}`),
  ...numbered('SIGRTMIN', '+', 15),
  ...numbered('SIGRTMAX', '-', 14),
])

function validateStopSignal(field: string, signal: string, { os }: PodSpec, faults: Faults): void {
  if (!os) return faults.forbidden(field, 'may not be set for containers with empty `spec.os.name`')
  const supported = os.name === 'windows' ? ['SIGKILL', 'SIGTERM'] : [...signals].sort()
  faults.oneOf(field, signal, supported)
}

function validateProbe(at: string, probe: Probe, faults: Faults): void {
  validateHandler(at, probe, undefined, faults)
  for (const field of counts) if ((probe[field] ?? 0) < 0) faults.notNegative(`${at}.${field}`, probe[field])
  const grace = probe.terminationGracePeriodSeconds
  if (grace !== undefined && grace <= 0) faults.invalid(`${at}.terminationGracePeriodSeconds`, grace, 'must be greater than 0')
}

function validateOneSuccess(at: string, { successThreshold }: Probe, faults: Faults): void {
  if (successThreshold !== 1) faults.invalid(`${at}.successThreshold`, successThreshold ?? 0, 'must be 1')
}

/** `grace`: the seconds that the pod has to end. */
function validateHandler(at: string, handler: Handler, grace: number | undefined, faults: Faults): void {
  let first: (typeof kinds)[number] | undefined
  for (const kind of kinds) {
    if (!handler[kind]) continue
    if (first) faults.forbidden(`${at}.${kind}`, 'may not specify more than 1 handler type')
    first ??= kind
  }
  if (!first) return faults.required(at, 'must specify a handler type')
  const { exec, httpGet, tcpSocket, grpc, sleep } = handler
  if (first === 'exec' && !exec?.command?.length) faults.required(`${at}.exec.command`)
  if (first === 'httpGet' && httpGet) validateHttpGet(`${at}.httpGet`, httpGet, faults)
  if (first === 'tcpSocket') validatePortRef(`${at}.tcpSocket.port`, tcpSocket?.port, faults)
  if (first === 'grpc') faults.port(`${at}.grpc.port`, grpc?.port ?? 0)
  if (first === 'sleep' && sleep && grace !== undefined && (sleep.seconds < 0 || sleep.seconds > grace))
    faults.invalid(`${at}.sleep`, sleep.seconds, `must be non-negative and less than terminationGracePeriodSeconds (${grace})`)
}

function validateHttpGet(at: string, get: NonNullable<Handler['httpGet']>, faults: Faults): void {
  if (!get.path) faults.required(`${at}.path`)
  validatePortRef(`${at}.port`, get.port, faults)
  faults.oneOf(`${at}.scheme`, get.scheme, ['HTTP', 'HTTPS'])
  for (const { name } of get.httpHeaders ?? []) {
    if (/^[-A-Za-z0-9]+$/.test(name)) continue
    const why =
      "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"
    faults.invalid(`${at}.httpHeaders`, name, why)
  }
}

/** A port by number or by the name of a container port. */
export function validatePortRef(field: string, port: number | string | undefined, faults: Faults): void {
  if (typeof port === 'string') faults.each(field, port, isPortName(port))
  else faults.port(field, port ?? 0)
}
