import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CertificateSigningRequest, Node } from '#api/kinds/index.ts'
import { makeKey } from '#api/x509/key.ts'
import { makeRequest, type Wishes } from '#api/x509/request.ts'
import { approvalOf } from './approval.ts'

const keys = await makeKey()
const nodes = { organizations: ['system:nodes'] }
const registered = (name: string) =>
  name === 'pi'
    ? ({
        status: {
          addresses: [
            { type: 'InternalIP', address: '192.0.2.7' },
            { type: 'InternalIP', address: 'fd00::1' },
            { type: 'Hostname', address: 'pi' },
          ],
        },
      } as unknown as Node)
    : undefined

type Ask = { name?: string; wishes?: Wishes; signer?: string; usages?: string[]; username?: string; groups?: string[]; request?: string }

const asked = ({
  name = 'system:node:pi',
  wishes = nodes,
  signer = 'kubernetes.io/kube-apiserver-client-kubelet',
  usages = ['digital signature', 'client auth'],
  username = 'system:node:pi',
  groups = ['system:nodes', 'system:authenticated'],
  request = Buffer.from(makeRequest(name, keys, wishes)).toString('base64'),
}: Ask = {}) => approvalOf({ spec: { request, signerName: signer, usages, username, groups } } as CertificateSigningRequest, registered)

const serving = (hosts: string[], more: Ask = {}) =>
  asked({ wishes: { ...nodes, hosts }, signer: 'kubernetes.io/kubelet-serving', usages: ['digital signature', 'server auth'], ...more })

test('a node gets the identity that it has, and a certificate for what it is registered as', () => {
  assert.match(asked() ?? '', /self kubelet client/)
  assert.match(serving(['pi', '192.0.2.7', 'fd00:0:0::1']) ?? '', /registered addresses/)
  assert.match(serving(['pi']) ?? '', /registered addresses/)
})

test('everybody and everything else waits for a decision', () => {
  const waits: Record<string, string | undefined> = {
    'another node': asked({ name: 'system:node:other' }),
    'a user that is called like a node': asked({ groups: ['system:authenticated'] }),
    'a person': asked({ username: 'ann', groups: ['system:nodes'] }),
    'a token of those who join': asked({ username: 'system:bootstrap:abc', groups: ['system:bootstrappers'] }),
    'more groups': asked({ wishes: { organizations: ['system:nodes', 'system:masters'] } }),
    'no group': asked({ wishes: {} }),
    'more usages': asked({ usages: ['digital signature', 'client auth', 'server auth'] }),
    'names in a client certificate': asked({ wishes: { ...nodes, hosts: ['pi'] } }),
    'the signer of people': asked({ signer: 'kubernetes.io/kube-apiserver-client' }),
    'a signer of others': asked({ signer: 'example.com/any' }),
    'no request': asked({ request: 'aGVsbG8=' }),
    'an address of others': serving(['pi', '192.0.2.8']),
    'a name of others': serving(['pi', 'kubernetes']),
    'no names': serving([]),
    'a node that is not there': serving(['other', '192.0.2.7'], { name: 'system:node:other', username: 'system:node:other' }),
  }
  // Its own name is its own, registered or not.
  assert.ok(serving(['other'], { name: 'system:node:other', username: 'system:node:other' }))
  for (const [what, message] of Object.entries(waits)) assert.equal(message, undefined, what)
})
