// The node's status from its facts and what is measured: a pure function.

import { timestamp } from '#api/clock.ts'
import type { Node, NodeCondition, NodeStatus } from '#api/types/core-v1.gen.ts'
import type { Supply } from '../hardware/raspberry-pi.ts'
import type { Image } from '../images/images.ts'
import type { Facts } from './facts.ts'
import type { Pressure } from './pressure.ts'

export type Standing = {
  facts: Facts
  pressure: Pressure
  /** On a Raspberry Pi. */
  supply?: Supply | undefined
  name: string
  addresses: readonly string[]
  /** Of the agent's own endpoint. */
  port: number
  images: readonly Image[]
  /** Why pods cannot run here yet; undefined: they can. */
  notReady: string | undefined
  now: number
}

const MiB = 2 ** 20
const PODS_MAX = 110
/** Kept from pods: the kubelet's hard eviction thresholds. */
const MEMORY_RESERVED = 100 * MiB
const DISK_SHARE = 0.9
/** The largest ones, as the kubelet reports them. */
const IMAGES_MAX = 50

export const allocatableOf = ({ cpus, memoryBytes, diskBytes }: Facts): Record<string, string> => ({
  cpu: String(cpus),
  memory: kibibytes(Math.max(memoryBytes - MEMORY_RESERVED, 0)),
  'ephemeral-storage': String(Math.floor(diskBytes * DISK_SHARE)),
  pods: String(PODS_MAX),
})

export function nodeStatus(standing: Standing, before: Node['status'] | undefined): NodeStatus {
  const { facts, addresses, name, port, images } = standing
  return {
    capacity: {
      cpu: String(facts.cpus),
      memory: kibibytes(facts.memoryBytes),
      'ephemeral-storage': kibibytes(facts.diskBytes),
      pods: String(PODS_MAX),
    },
    allocatable: allocatableOf(facts),
    conditions: conditions(standing, before?.conditions ?? []),
    addresses: [...addresses.map((address) => ({ type: 'InternalIP' as const, address })), { type: 'Hostname' as const, address: name }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    nodeInfo: facts.info,
    images: [...images]
      .sort((a, b) => b.size - a.size)
      .slice(0, IMAGES_MAX)
      .map(({ names, digests, size }) => ({ names: [...digests, ...names], sizeBytes: size })),
  }
}

type Verdict = [type: string, bad: boolean, reasons: { good: [string, string]; bad: [string, string] }]

function conditions({ pressure, supply, notReady, now }: Standing, before: readonly NodeCondition[]): NodeCondition[] {
  const verdicts: Verdict[] = [
    [
      'MemoryPressure',
      pressure.memory,
      {
        good: ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
        bad: ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
      },
    ],
    [
      'DiskPressure',
      pressure.disk,
      {
        good: ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
        bad: ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
      },
    ],
    [
      'PIDPressure',
      pressure.pids,
      {
        good: ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
        bad: ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
      },
    ],
    ...(supply ? supplyVerdicts(supply) : []),
    [
      'Ready',
      notReady !== undefined,
      { good: ['KubeletReady', 'kubelet is posting ready status'], bad: ['KubeletNotReady', notReady ?? ''] },
    ],
  ]
  return verdicts.map(([type, bad, reasons]) => {
    const status = (type === 'Ready') === bad ? 'False' : 'True'
    const [reason, message] = bad ? reasons.bad : reasons.good
    const known = before.find((condition) => condition.type === type)
    const at = timestamp(now)
    return {
      type: type as NodeCondition['type'],
      status,
      reason,
      message,
      lastHeartbeatTime: at,
      lastTransitionTime: (known?.status === status && known.lastTransitionTime) || at,
    }
  })
}

const supplyVerdicts = ({ undervoltage, throttled }: Supply): Verdict[] => [
  [
    'UnderVoltage',
    undervoltage,
    {
      good: ['SupplyVoltageSufficient', 'the supply voltage is sufficient'],
      bad: ['SupplyVoltageLow', 'the supply voltage is below 4.63 V: a stronger power supply or a shorter cable is needed'],
    },
  ],
  [
    'CPUThrottled',
    throttled,
    {
      good: ['CPUAtFullSpeed', 'the processor may run at full speed'],
      bad: ['CPUSlowedDown', 'the firmware slows the processor down, for heat or for a weak supply'],
    },
  ],
]

const kibibytes = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`
