// A container with the capabilities that every container has, on the link that it shares with its node and with
// other pods: it plays the router.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { inside, makeNode, netOf, openOn, pod, scoped } from '#agent/network/nodes.fixture.ts'

/** A router advertisement with a prefix (RFC 4861, section 4.2), sent to everybody on eth0 with a raw socket. */
const advertise = `
import socket, struct
def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(('eth0', 0x86dd))
mac = link.getsockname()[4]
ends = socket.inet_pton(socket.AF_INET6, 'fe80::bad') + socket.inet_pton(socket.AF_INET6, 'ff02::1')
prefix = struct.pack('!BBBBIII', 3, 4, 64, 0xc0, 3600, 3600, 0) + socket.inet_pton(socket.AF_INET6, '2001:db8:bad::')
rest = struct.pack('!BBHII', 64, 0, 1800, 0, 0) + struct.pack('!BB', 1, 1) + mac + prefix
size = len(rest) + 4
sum = checksum(ends + struct.pack('!IHBB', size, 0, 0, 58) + struct.pack('!BBH', 134, 0, 0) + rest)
packet = struct.pack('!IHBB', 0x60000000, size, 58, 255) + ends + struct.pack('!BBH', 134, 0, sum) + rest
for _ in range(3):
    link.send(bytes.fromhex('333300000001') + mac + struct.pack('!H', 0x86dd) + packet)
`

for (const stack of ['IPv4', 'dual'] as const)
  test(`a pod that plays the router is listened to by nobody, with ${stack} addresses`, { skip: needsRoot }, async (context) => {
    const t = scoped(context)
    const node = await makeNode(t, 1, { stack })
    const network = await openOn(t, node)
    const [bad, other] = await Promise.all([network.setup(pod('bad')), network.setup(pod('other'))])
    const places = [node.netns, netOf(other)]
    const routes = async () =>
      (await Promise.all(places.map((netns) => inside(netns, 'ip', '-6', 'route')))).map((text) => text.replaceAll(/ expires \d+sec/g, ''))
    const before = await routes()
    const sent = spawnSync('nsenter', [`--net=${netOf(bad)}`, 'python3', '-c', advertise], { encoding: 'utf8' })
    assert.deepEqual([sent.status, sent.stderr], [0, ''])
    // On a veth pair what was sent is received when the call returns, and what came of it is there.
    assert.deepEqual(await routes(), before)
    assert.doesNotMatch((await routes()).join(), /bad/)
  })
