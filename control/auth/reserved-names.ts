// Names in certificates that are given out otherwise: to nodes when they join, to the server by itself.

import { masters, nodesGroup } from './user.ts'

const prefix = 'system:'

/** What is wrong with a certificate for people and programs (`kubernetes.io/kube-apiserver-client`); undefined: nothing. */
export function reservedName({ commonName, organizations }: { commonName: string; organizations: readonly string[] }): string | undefined {
  const group = organizations.find((each) => each === masters || each === nodesGroup)
  if (group !== undefined) return `${group} group`
  return commonName.startsWith(prefix) ? `common name ${JSON.stringify(commonName)}` : undefined
}
