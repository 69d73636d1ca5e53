// The inventory as labels of the Node: in the words of node-feature-discovery where it has some (its documentation,
// "Feature discovery"), so that selectors written for it hold here, and ours below `hardware.coracle.dev`.

import type { Inventory } from './inventory.ts'

const feature = 'feature.node.kubernetes.io/'
const ours = 'hardware.coracle.dev/'

/** CPU flags of /proc/cpuinfo and what node-feature-discovery calls them; on arm64 its names are the flags in capitals. */
const cpuid: Record<string, string> = {
  adx: 'ADX',
  aes: 'AESNI',
  avx: 'AVX',
  avx2: 'AVX2',
  avx512f: 'AVX512F',
  avx512bw: 'AVX512BW',
  avx512vl: 'AVX512VL',
  avx512_vnni: 'AVX512VNNI',
  amx_tile: 'AMXTILE',
  fma: 'FMA3',
  fma4: 'FMA4',
  gfni: 'GFNI',
  hypervisor: 'HYPERVISOR',
  sha_ni: 'SHA',
  svm: 'SVM',
  vaes: 'VAES',
  vmx: 'VMX',
}
const arm = new Set([
  'aes',
  'asimd',
  'asimddp',
  'atomics',
  'cpuid',
  'crc32',
  'evtstrm',
  'fp',
  'pmull',
  'sha1',
  'sha2',
  'sha3',
  'sha512',
  'sve',
])

/** `dataDisk`: the name of the disk that the agent's data is on, if it is one. */
export function labelsOf(inventory: Inventory, dataDisk: string | undefined): Record<string, string> {
  const { board, cpu, os, disks, virtualization } = inventory
  const [major = '', minor = '', revision = ''] = os.kernel.split(/[.+-]/)
  const [osMajor = '', osMinor = ''] = os.version.split('.')
  const isX86 = cpu.flags.includes('fpu')
  const medium = disks.find(({ name }) => name === dataDisk)?.medium
  const all: [string, string][] = [
    [`${feature}cpu-hardware_multithreading`, String(cpu.threads > cpu.cores)],
    [`${feature}cpu-model.vendor_id`, cpu.vendor],
    [`${feature}cpu-model.family`, cpu.family],
    [`${feature}cpu-model.id`, cpu.modelId],
    ...cpu.flags.flatMap((flag): [string, string][] => {
      const name = isX86 ? cpuid[flag] : arm.has(flag) ? flag.toUpperCase() : undefined
      return name ? [[`${feature}cpu-cpuid.${name}`, 'true']] : []
    }),
    [`${feature}kernel-version.full`, os.kernel],
    [`${feature}kernel-version.major`, major],
    [`${feature}kernel-version.minor`, minor],
    [`${feature}kernel-version.revision`, revision],
    [`${feature}storage-nonrotationaldisk`, disks.some((disk) => disk.medium !== 'hdd') ? 'true' : ''],
    [`${feature}system-os_release.ID`, os.id],
    [`${feature}system-os_release.VERSION_ID`, os.version],
    [`${feature}system-os_release.VERSION_ID.major`, osMajor],
    [`${feature}system-os_release.VERSION_ID.minor`, osMinor],
    [`${ours}board`, board.model],
    [`${ours}virtualization`, virtualization],
    [`${ours}data-medium`, medium ?? ''],
    ...disks.map((disk): [string, string] => [`${ours}medium-${disk.medium}`, 'true']),
  ]
  return Object.fromEntries(all.map(([name, value]) => [name, labelValue(value)] as const).filter(([, value]) => value !== ''))
}

/** A text as the value of a label: 63 of letters, digits, `-`, `_` and `.`, the first and last a letter or digit. */
const labelValue = (text: string): string =>
  text
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
