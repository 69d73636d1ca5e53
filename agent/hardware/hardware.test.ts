import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { askHardware, hardwareOfBoot } from './ask.ts'
import { diskOf, readDisks } from './disks.ts'
import { inventoryOf, type Read, type Said } from './inventory.ts'
import { labelsOf } from './labels.ts'
import { boardOfRevision, readSupply, supplyOf } from './raspberry-pi.ts'

async function folder(t: TestContext, files: Record<string, string> = {}): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'hardware-'))
  t.after(() => rm(root, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
  return root
}

const pi: Said = {
  system: {
    manufacturer: 'Sony UK',
    model: 'Raspberry Pi 4 Model B Rev 1.4',
    version: '',
    virtual: false,
    raspberry: { revisionCode: 'd03114' },
  },
  cpu: { vendor: 'ARM', brand: 'BCM2711', family: '', model: '3', physicalCores: 4, cores: 4, flags: 'fp asimd evtstrm crc32 cpuid' },
  mem: { total: 8 * 2 ** 30 },
  osInfo: { kernel: '6.12.48+deb13-arm64' },
  networkInterfaces: [
    { iface: 'lo', mac: '', type: 'virtual', speed: null, internal: true, virtual: false },
    { iface: 'coracle0', mac: '02:00:00:00:00:01', type: 'wired', speed: -1, internal: false, virtual: true },
    { iface: 'eth0', mac: 'dc:a6:32:00:00:01', type: 'wired', speed: 1000, internal: false, virtual: false },
  ],
}
const read: Read = {
  bootID: 'b',
  os: { ID: 'debian', VERSION_ID: '13' },
  deviceTreeModel: 'Raspberry Pi 4 Model B Rev 1.4',
  disks: [{ name: 'mmcblk0', medium: 'sd', model: 'SC32G', bytes: 32e9 }],
  temperatures: { 'cpu-thermal': 48.7 },
}

test('a Raspberry Pi, and what labels say of it', () => {
  const inventory = inventoryOf(pi, read)
  assert.deepEqual(inventory.board, {
    manufacturer: 'Sony UK',
    model: 'Raspberry Pi 4 Model B Rev 1.4',
    revision: 'd03114',
    memoryMB: 8192,
  })
  assert.deepEqual(inventory.links, [{ name: 'eth0', mac: 'dc:a6:32:00:00:01', type: 'wired', mbits: 1000 }])
  assert.deepEqual(labelsOf(inventory, 'mmcblk0'), {
    'feature.node.kubernetes.io/cpu-hardware_multithreading': 'false',
    'feature.node.kubernetes.io/cpu-model.vendor_id': 'ARM',
    'feature.node.kubernetes.io/cpu-model.id': '3',
    'feature.node.kubernetes.io/cpu-cpuid.FP': 'true',
    'feature.node.kubernetes.io/cpu-cpuid.ASIMD': 'true',
    'feature.node.kubernetes.io/cpu-cpuid.EVTSTRM': 'true',
    'feature.node.kubernetes.io/cpu-cpuid.CRC32': 'true',
    'feature.node.kubernetes.io/cpu-cpuid.CPUID': 'true',
    'feature.node.kubernetes.io/kernel-version.full': '6.12.48-deb13-arm64',
    'feature.node.kubernetes.io/kernel-version.major': '6',
    'feature.node.kubernetes.io/kernel-version.minor': '12',
    'feature.node.kubernetes.io/kernel-version.revision': '48',
    'feature.node.kubernetes.io/storage-nonrotationaldisk': 'true',
    'feature.node.kubernetes.io/system-os_release.ID': 'debian',
    'feature.node.kubernetes.io/system-os_release.VERSION_ID': '13',
    'feature.node.kubernetes.io/system-os_release.VERSION_ID.major': '13',
    'hardware.coracle.dev/board': 'Raspberry-Pi-4-Model-B-Rev-1.4',
    'hardware.coracle.dev/data-medium': 'sd',
    'hardware.coracle.dev/medium-sd': 'true',
  })
})

test('every value is one that a label may have, whatever a board calls itself', () => {
  const names = ['', '  ', '™', '..x..', 'a'.repeat(100), `${'a'.repeat(62)}. b`, 'To be filled by O.E.M.']
  for (const name of names) {
    const labels = labelsOf(
      inventoryOf({ ...pi, system: { ...pi.system, model: name, manufacturer: name } }, { ...read, deviceTreeModel: name }),
      undefined,
    )
    for (const value of Object.values(labels)) assert.match(value, /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/)
  }
})

// raspberrypi.com documentation, "New-style revision codes in use".
test('revision codes', () => {
  assert.deepEqual(boardOfRevision('a02082'), { manufacturer: 'Sony UK', memoryMB: 1024 })
  assert.deepEqual(boardOfRevision('902120'), { manufacturer: 'Sony UK', memoryMB: 512 })
  assert.deepEqual(boardOfRevision('a22042'), { manufacturer: 'Embest', memoryMB: 1024 })
  assert.deepEqual(boardOfRevision('d04170'), { manufacturer: 'Sony UK', memoryMB: 8192 })
  for (const code of ['', '0010', 'nonsense']) assert.equal(boardOfRevision(code), undefined)
})

test('a supply that does not hold', async (t) => {
  assert.deepEqual(supplyOf('0\n'), { undervoltage: false, throttled: false })
  assert.deepEqual(supplyOf('50005'), { undervoltage: true, throttled: true })
  assert.deepEqual(supplyOf('50000'), { undervoltage: false, throttled: false }, 'once, not now')
  assert.deepEqual(supplyOf('0x8'), { undervoltage: false, throttled: true })
  assert.equal(supplyOf(''), undefined)
  const root = await folder(t, { throttled: '1\n' })
  assert.deepEqual(await readSupply(join(root, 'throttled')), { undervoltage: true, throttled: false })
  assert.equal(await readSupply(join(root, 'nothing')), undefined)
})

test('disks by what they are, and how worn', async (t) => {
  const root = await folder(t, {
    'block/mmcblk0/size': '62333952\n',
    'block/mmcblk0/device/type': 'SD\n',
    'block/mmcblk0/device/name': 'SC32G\n',
    'block/mmcblk1/size': '61071360\n',
    'block/mmcblk1/device/type': 'MMC\n',
    'block/mmcblk1/device/life_time': '0x02 0x04\n',
    'block/mmcblk1/device/pre_eol_info': '0x02\n',
    'block/nvme0n1/size': '1000215216\n',
    'block/nvme0n1/device/model': 'KINGSTON\n',
    'block/sda/size': '1000\n',
    'block/sda/queue/rotational': '1\n',
    'block/loop0/size': '8\n',
    'block/zram0/size': '8\n',
    'block/sdb/size': '0\n',
    'devices/usb1/sdc/size': '2000\n',
  })
  await symlink('../devices/usb1/sdc', join(root, 'block/sdc'))
  assert.deepEqual(
    (await readDisks(root)).map(({ name, medium, wornPercent, health }) => [name, medium, wornPercent, health]),
    [
      ['mmcblk0', 'sd', undefined, undefined],
      ['mmcblk1', 'emmc', 40, 'warning'],
      ['nvme0n1', 'nvme', undefined, undefined],
      ['sda', 'hdd', undefined, undefined],
      ['sdc', 'usb', undefined, undefined],
    ],
  )
  assert.deepEqual(await readDisks(join(root, 'nowhere')), [])
  assert.equal(await diskOf('/proc'), undefined, 'no disk')
})

test('this machine, asked once in a boot', async (t) => {
  const dataDir = await folder(t)
  const { signal } = new AbortController()
  const first = await askHardware()
  assert(first.cpu.threads >= 1 && first.memoryBytes > 0 && first.os.kernel !== '')
  const kept = JSON.stringify({ ...first, board: { ...first.board, model: 'kept' } })
  await writeFile(join(dataDir, 'hardware.json'), kept)
  const about = { dataDir, bootID: first.bootID, signal }
  assert.equal((await hardwareOfBoot(about)).board.model, 'kept')
  await writeFile(join(dataDir, 'hardware.json'), kept.slice(0, 40))
  assert.equal((await hardwareOfBoot(about)).board.model, first.board.model, 'a broken record is made anew')
  assert.equal((await hardwareOfBoot({ ...about, bootID: 'another' })).board.model, first.board.model)
})
