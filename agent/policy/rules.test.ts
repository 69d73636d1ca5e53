import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeNft } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import { goldenIn, nftPrintsAlike } from '../ruleset/golden.ts'
import { openRuleset } from '../ruleset/ruleset.ts'
import { app, namespace, type PolicyState, pod, policy, wholePolicy } from './fixtures.ts'
import { openPolicy } from './policy.ts'

const golden = goldenIn(import.meta.dirname)

const dump = async (state: Partial<PolicyState>): Promise<string> => {
  const nft = fakeNft()
  const enforced = wholePolicy(openPolicy({ ruleset: openRuleset(nft), log: silent, nodeName: 'here', families: ['ip', 'ip6'] }))
  const { errors } = await enforced.apply({ policies: [], pods: [], namespaces: [namespace('default')], placed: [], ...state })
  assert.deepEqual(errors, [])
  return (await nft.dump('ip', 'coracle-policy')) + (await nft.dump('ip6', 'coracle-policy'))
}

const web = pod('web', '10.42.1.2')

test('without policies nothing is looked for', async () => {
  const text = await dump({ pods: [web] })
  assert.equal(text, golden('none', text))
})

test('default deny, and pods and blocks that are let in', async () => {
  const text = await dump({
    policies: [
      policy('deny', { policyTypes: ['Ingress', 'Egress'] }),
      policy('web', {
        podSelector: app('web'),
        ingress: [
          { from: [{ podSelector: app('client') }], ports: [{ port: 'http' }, { protocol: 'UDP', port: 53 }] },
          { from: [{ namespaceSelector: { matchLabels: { team: 'a' } } }] },
          { from: [{ ipBlock: { cidr: '192.0.2.0/24', except: ['192.0.2.8/29'] } }] },
          { ports: [{ port: 8000, endPort: 8010 }, { protocol: 'SCTP' }] },
        ],
        egress: [{ to: [{ podSelector: app('client') }], ports: [{ port: 'metrics' }, { port: 9000, endPort: 9005 }] }],
      }),
    ],
    pods: [
      pod('web', '10.42.1.2', { ports: [{ name: 'http', containerPort: 8080 }] }),
      pod('other', '10.42.1.3'),
      pod('client', '10.42.2.2', { node: 'elsewhere', ports: [{ name: 'metrics', containerPort: 9100 }] }),
      pod('a', '10.42.2.3', { node: 'elsewhere', namespace: 'team-a' }),
      pod('host', '192.0.2.1', { hostNetwork: true }),
    ],
    namespaces: [namespace('default'), namespace('team-a', { team: 'a' }), namespace('team-b', { team: 'b' })],
  })
  assert.equal(text, golden('web', text))
})

test('two families', async () => {
  const text = await dump({
    policies: [
      policy('web', {
        podSelector: app('web'),
        ingress: [
          { from: [{ podSelector: app('client') }], ports: [{ port: 80 }] },
          { from: [{ ipBlock: { cidr: '2001:DB8::/32', except: ['2001:db8:1::/48'] } }], ports: [{ port: 443 }] },
          { from: [{ ipBlock: { cidr: '::/0', except: ['fd00::/8'] } }] },
        ],
      }),
    ],
    pods: [pod('web', ['10.42.1.2', 'FD00:42:1::0:2']), pod('client', ['10.42.2.2', 'fd00:42:2::2'])],
  })
  assert.equal(text, golden('two-families', text))
})

// The text is nft's own: nft takes it, and what we read back from the kernel then is the same text.
test('nft loads the golden files and prints them alike', { skip: needsRoot }, (t) =>
  nftPrintsAlike(t, import.meta.dirname, 'coracle-policy'),
)
