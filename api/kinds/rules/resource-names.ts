// What the names of resources say: which are Kubernetes' own, which are counted whole, which may be
// promised to more than one.

import { isQualifiedName } from './names.ts'

/** Counted by quotas, in objects. */
const countedObjects = new Set([
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
  'services.nodeports',
  'services.loadbalancers',
])

/** Summed up by quotas, without a domain. */
const amounts = [
  'cpu',
  'memory',
  'ephemeral-storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
]

const forQuotas = new Set([...amounts, ...countedObjects])
const standard = new Set([...forQuotas, 'storage'])

export const isHugePages = (name: string): boolean => name.startsWith('hugepages-')

/** Of those without a domain. */
export const isStandard = (name: string): boolean => standard.has(name) || isHugePages(name)
export const isForQuotas = (name: string): boolean => forQuotas.has(name) || isHugePages(name) || name.startsWith('requests.hugepages-')

const isNative = (name: string): boolean => !name.includes('/') || name.includes('kubernetes.io/')

/** Of a name with a domain that is not Kubernetes' own. */
export const wrongExtendedName = (name: string): boolean =>
  !isNative(name) && (name.startsWith('requests.') || isQualifiedName(`requests.${name}`).length > 0)

const isExtended = (name: string): boolean => !isNative(name) && !wrongExtendedName(name)

export const isWhole = (name: string): boolean => countedObjects.has(name) || isExtended(name)
export const isOvercommitted = (name: string): boolean => isNative(name) && !isHugePages(name)
