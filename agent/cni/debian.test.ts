// The plugins that Debian has, in a network namespace that stands for the node.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { connectInNetns } from 'nft-js'
import { freshNetns, needsRoot } from 'nft-js/testing/fresh-netns.ts'
import { silent } from '#api/log.ts'
import type { Pod } from '#api/types/core-v1.gen.ts'
import { cniNetwork } from './network.ts'
import { fakePlugins } from './plugins.fake.ts'

const debian = '/usr/lib/cni'
const server = `require('node:net').createServer((c) => c.end('from the pod')).listen(80, () => console.log('listening'))`

test('bridge, host-local, portmap and loopback of Debian carry a pod', { skip: needsRoot }, async (t) => {
  const undo: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const step of undo.reverse()) await step()
  })
  const later = { after: (step: () => Promise<void>) => void undo.push(step) }
  const { bin, conf, data, configure } = await fakePlugins(later)
  const node = await freshNetns(later)
  const inside = (netns: string, ...command: string[]) => execFileSync('nsenter', [`--net=${netns}`, ...command], { encoding: 'utf8' })
  // Plugins work on the namespace that they are started in.
  for (const type of ['bridge', 'host-local', 'portmap', 'loopback']) {
    await writeFile(join(bin, type), `#!/bin/sh\nexec nsenter --net=${node} ${debian}/${type}\n`)
    await chmod(join(bin, type), 0o755)
  }
  await configure('10-bridge.conflist', {
    cniVersion: '1.0.0',
    name: 'debian',
    plugins: [
      {
        type: 'bridge',
        bridge: 'cni0',
        isGateway: true,
        ipam: { type: 'host-local', dataDir: join(data, 'leases'), ranges: [[{ subnet: '10.88.0.0/24' }]], routes: [{ dst: '0.0.0.0/0' }] },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
      { type: 'loopback' },
    ],
  })
  const pod = { uid: 'u-1', namespace: 'shop', name: 'web', hostname: 'web' }
  const spec = { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 8080 }] }] }
  const podOf = () => ({ metadata: pod, spec }) as unknown as Pod
  const network = await cniNetwork({ confDir: conf, binDirs: [bin], podOf })({ dataDir: data, netns: node, log: silent })
  later.after(() => network.close())
  const { ips, namespaces } = await network.setup(pod)
  later.after(() => network.teardown('u-1'))
  assert.deepEqual(ips, ['10.88.0.2'])
  assert.match(inside(namespaces.net, 'ip', 'addr', 'show', 'eth0'), /inet 10\.88\.0\.2\/24/)
  assert.deepEqual(
    (await readdir(join(data, 'leases/debian'))).filter((name) => name.startsWith('10.')),
    ['10.88.0.2'],
  )

  const listener = spawn('nsenter', [`--net=${namespaces.net}`, process.execPath, '-e', server], { stdio: ['ignore', 'pipe', 'inherit'] })
  later.after(async () => void listener.kill())
  await new Promise((resolve) => listener.stdout.once('data', resolve))
  const read = async (host: string, port: number) => {
    let text = ''
    for await (const chunk of new Socket({ fd: await connectInNetns({ netns: node, host, port }) }).setEncoding('utf8')) text += chunk
    return text
  }
  assert.equal(await read('10.88.0.2', 80), 'from the pod')
  assert.equal(await read('10.88.0.1', 8080), 'from the pod')

  // A restarted agent finds the pod as it was: Debian's portmap misses rules of IPv6 that it never made, and is not believed.
  const warned: string[] = []
  const log = { ...silent, warn: (_: object, message: string) => void warned.push(message) }
  const again = await cniNetwork({ confDir: conf, binDirs: [bin], podOf })({ dataDir: data, netns: node, log })
  assert.deepEqual((await again.setup(pod)).ips, ['10.88.0.2'])
  assert.deepEqual(warned.splice(0), ['a network plugin finds fault with a pod'])
  await again.close()
  inside(namespaces.net, 'ip', 'addr', 'flush', 'dev', 'eth0')
  const repaired = await cniNetwork({ confDir: conf, binDirs: [bin], podOf })({ dataDir: data, netns: node, log })
  const { ips: renewed } = await repaired.setup(pod)
  assert.deepEqual(warned, ['a pod has lost its network and is attached anew'])
  assert.equal(await read(renewed[0] ?? '', 80), 'from the pod')

  await repaired.teardown('u-1')
  await repaired.teardown('u-1')
  await repaired.close()
  assert.deepEqual(
    (await readdir(join(data, 'leases/debian'))).filter((name) => name.startsWith('10.')),
    [],
  )
  assert.doesNotMatch(inside(node, 'iptables-save', '-t', 'nat'), /8080|10\.88\.0\.\d+\/32/)
})
