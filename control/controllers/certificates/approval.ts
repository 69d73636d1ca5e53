// Requests for certificates that are approved without anybody's decision: a node's for the identity that it has
// already, and for its own endpoint under the name and addresses that it is registered with. What else there is
// waits for a person (`kubectl certificate approve`).

import { timestamp } from '#api/clock.ts'
import { CertificateSigningRequest, Node } from '#api/kinds/index.ts'
import { done, mapped, of, type Reconciler } from '#api/queue/reconciler.ts'
import { type Asked, readRequest } from '#api/x509/asked.ts'
import { nodeOf } from '../../auth/user.ts'
import type { Deps } from '../deps.ts'
import { signers } from './signer.ts'

const client = 'kubernetes.io/kube-apiserver-client-kubelet'
const serving = 'kubernetes.io/kubelet-serving'

export function certificateApproval({ client: api, informers, clock }: Deps): Reconciler {
  const requests = informers.of(CertificateSigningRequest)
  const nodes = informers.of(Node)
  const isOpen = ({ status }: CertificateSigningRequest) => !status?.certificate && !status?.conditions?.length
  const askedBy = (username: string) =>
    [...requests.list()].filter((request) => request.spec.username === username && isOpen(request)).map(({ metadata }) => metadata.name)
  return {
    name: 'csr-approving',
    // What its node's addresses did not cover when it came, they may now.
    watches: [of(CertificateSigningRequest), mapped(Node, ({ metadata }) => askedBy(`system:node:${metadata.name}`))],
    workers: 1,
    async reconcile(name, signal) {
      const request = requests.get(name)
      if (!request || !isOpen(request)) return done
      const message = approvalOf(request, (node) => nodes.get(node))
      if (message === undefined) return done
      const at = timestamp(clock.now())
      const condition = {
        type: 'Approved' as const,
        status: 'True' as const,
        reason: 'AutoApproved',
        message,
        lastUpdateTime: at,
        lastTransitionTime: at,
      }
      await api.update(
        CertificateSigningRequest,
        { ...request, status: { ...request.status, conditions: [condition] } },
        { subresource: 'approval', signal },
      )
      return done
    },
  }
}

/** Why a request is approved; undefined: somebody has to decide. */
export function approvalOf({ spec }: CertificateSigningRequest, nodeNamed: (name: string) => Node | undefined): string | undefined {
  const { signerName, username = '', groups = [] } = spec
  if (signerName !== client && signerName !== serving) return undefined
  const name = nodeOf({ name: username, groups })
  let asked: Asked
  try {
    asked = readRequest(Buffer.from(spec.request, 'base64').toString('latin1'))
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (name === undefined || asked.commonName !== username) return undefined
  if (signers.get(signerName)?.fault({ asked, usages: spec.usages ?? [], username })) return undefined
  if (signerName === client) return 'Auto approving self kubelet client certificate'
  const registered = nodeNamed(name)?.status?.addresses ?? []
  const known = new Set([name, ...registered.map(({ address }) => address)].map(plain))
  return [...asked.dnsNames, ...asked.addresses].every((host) => known.has(plain(host)))
    ? 'Auto approving kubelet serving certificate for the registered addresses of its node'
    : undefined
}

/** Addresses can be written in several ways. */
function plain(host: string): string {
  if (!host.includes(':')) return host.toLowerCase()
  return URL.canParse(`http://[${host}]`) ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host
}
