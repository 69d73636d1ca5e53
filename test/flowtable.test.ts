// The fast path on a kernel that has flowtables: Debian's, in a virtual machine.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inMachine } from './vm/machine.ts'

const modules = [
  'nfnetlink nf_tables nf_conntrack nf_defrag_ipv4 nf_defrag_ipv6 nf_conntrack_netlink nft_ct nft_counter nft_objref',
  'nf_flow_table nf_flow_table_inet nft_flow_offload nft_chain_nat nf_nat nft_reject nft_reject_ipv4 libcrc32c crc32c_generic',
  'nft_numgen nft_hash nft_nat nft_masq nft_fib nft_fib_ipv4 nft_fib_ipv6 nf_reject_ipv4 nft_reject',
  'veth llc stp bridge udp_tunnel ip6_udp_tunnel vxlan ipv6',
].flatMap((line) => line.split(' '))

test('connections take the fast path, and leave it for a policy', { skip: process.arch !== 'x64' && 'for x64' }, async () => {
  const said = await inMachine({ program: 'test/vm/fast-path.vm.ts', modules })
  assert.match(said, /ended with 0/, said)
  assert.match(said, /# pass 1\r?\n# fail 0/, said)
})
