// Whether an APIService can be asked, as far as its objects tell; the last word has a call of its discovery.

import type { APIService, APIServiceCondition } from '#api/types/apiregistration-v1.gen.ts'
import type { Endpoints, Service } from '#api/types/core-v1.gen.ts'

export type Finding = Required<Pick<APIServiceCondition, 'status' | 'reason' | 'message'>>

export const local: Finding = { status: 'True', reason: 'Local', message: 'Local APIServices are always available' }
export const passed: Finding = { status: 'True', reason: 'Passed', message: 'all checks passed' }
export const failedDiscovery = (message: string): Finding => ({ status: 'False', reason: 'FailedDiscoveryCheck', message })

/** Undefined: it is worth asking. */
export function findingOf(spec: APIService['spec'], service: Service | undefined, endpoints: Endpoints | undefined): Finding | undefined {
  if (!spec.service) return local
  const { namespace, name, port: number } = spec.service
  const what = `service/${name} in ${JSON.stringify(namespace)}`
  const refused = (reason: string, message: string): Finding => ({ status: 'False', reason, message })
  if (!service) return refused('ServiceNotFound', `${what} is not present`)
  const port = service.spec.ports?.find((p) => p.port === number)
  if (!port) return refused('ServicePortError', `${what} is not listening on port ${number}`)
  if (service.spec.type === 'ExternalName') return undefined
  if (!endpoints) return refused('EndpointsNotFound', `cannot find endpoints for ${what}`)
  const isReady = endpoints.subsets?.some((s) => s.addresses?.length && s.ports?.some((p) => (p.name ?? '') === (port.name ?? '')))
  if (!isReady)
    return refused('MissingEndpoints', `endpoints for ${what} have no addresses with port name ${JSON.stringify(port.name ?? '')}`)
  return undefined
}
