// A container with the capabilities that every container has, on the link that it shares with its node and with
// other pods: it plays the router, and goes to its neighbours past the host.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { isSysError, openRtnetlink, writeSysctl } from 'nft-js'
import { needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { macOf, vethName } from '#agent/network/names.ts'
import { inside, makeNode, netOf, openOn, pod, scoped } from '#agent/network/nodes.fixture.ts'
import { applyPorts, portsApart } from '#agent/network/ports.ts'

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

/** Sends a datagram from one namespace straight to the MAC of who is in the other, then one by its routes; prints what arrives first. */
const goAround = `
import ctypes, socket, struct, sys
bad, other, mac, source, target = sys.argv[1:]
def enter(path):
    with open(path) as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0): raise OSError(ctypes.get_errno())
enter(other)
heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
heard.bind(('0.0.0.0', 9999))
heard.settimeout(10)
enter(bad)
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind(('eth0', 0x800))
ends = socket.inet_aton(source) + socket.inet_aton(target)
text = b'around'
head = struct.pack('!BBHHHBBH', 0x45, 0, 28 + len(text), 1, 0, 64, 17, 0) + ends
total = sum(struct.unpack('!10H', head))
total = (total >> 16) + (total & 0xffff)
head = head[:10] + struct.pack('!H', ~total & 0xffff) + head[12:]
frame = bytes.fromhex(mac.replace(':', '')) + link.getsockname()[4] + struct.pack('!H', 0x800)
link.send(frame + head + struct.pack('!HHHH', 1, 9999, 8 + len(text), 0) + text)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'routed', (target, 9999))
print(heard.recv(100).decode())
`

const bridgeRules = ['net.bridge.bridge-nf-call-iptables', 'net.bridge.bridge-nf-call-ip6tables']

test('a pod reaches its neighbours past the host in no way: policies see all', { skip: needsRoot }, async (context) => {
  const t = scoped(context)
  const node = await makeNode(t, 1)
  /** Where the kernel has no such settings, bridges have no rules. */
  const setRules = async (value: string) => {
    for (const name of bridgeRules)
      await writeSysctl(name, value, node.netns).catch((error: unknown) => {
        if (!isSysError(error, 'ENOENT')) throw error
      })
  }
  await setRules('0')
  const network = await openOn(t, node)
  const [bad, other] = await Promise.all([network.setup(pod('bad')), network.setup(pod('other'))])
  const [source = '', target = ''] = [bad.ips[0], other.ips[0]]
  const first = () => {
    const sent = spawnSync('python3', ['-c', goAround, netOf(bad), netOf(other), macOf(target), source, target], { encoding: 'utf8' })
    return sent.stdout.trim() || sent.stderr
  }
  const isolated = async () =>
    / isolated (on|off) /.exec(await inside(node.netns, 'bridge', '-d', 'link', 'show', 'dev', vethName('other')))?.[1]
  assert.deepEqual([first(), await isolated()], ['routed', 'on'])
  // With rules on bridges services need that way, and policies see it.
  await using rt = await openRtnetlink({ netns: node.netns })
  await setRules('1')
  const apart = await portsApart(node.netns)
  await applyPorts(rt, apart)
  assert.equal(await isolated(), apart ? 'on' : 'off')
  await setRules('0')
  await applyPorts(rt, await portsApart(node.netns))
  assert.deepEqual([first(), await isolated()], ['routed', 'on'])
})
