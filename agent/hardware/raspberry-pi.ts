// What a Raspberry Pi says of itself: its revision code (raspberrypi.com documentation, "Raspberry Pi revision codes"),
// and whether its supply holds (the firmware's `get_throttled`).

import { readFile } from 'node:fs/promises'

const manufacturers = ['Sony UK', 'Egoman', 'Embest', 'Sony Japan', 'Embest', 'Stadium']

/** Undefined for codes of the old form, from before the Pi 2, and for what is no code. */
export function boardOfRevision(code: string): { manufacturer: string; memoryMB: number } | undefined {
  if (!/^[0-9a-f]{6,8}$/i.test(code)) return undefined
  const bits = Number.parseInt(code, 16)
  const isNew = (bits >>> 23) & 1
  if (!isNew) return undefined
  return { manufacturer: manufacturers[(bits >>> 16) & 0xf] ?? '', memoryMB: 256 << ((bits >>> 20) & 7) }
}

/** Whether its voltage is too low now, and whether the processor is slowed down now, for that or for heat. */
export type Supply = { undervoltage: boolean; throttled: boolean }

const throttledFile = '/sys/devices/platform/soc/soc:firmware/get_throttled'
const undervoltageNow = 1 << 0
const slowedNow = (1 << 1) | (1 << 2) | (1 << 3)

/** From the text of `get_throttled`: hexadecimal, its low bits for now and its high ones for since the boot. */
export function supplyOf(text: string): Supply | undefined {
  const trimmed = text.trim()
  if (!/^(0x)?[0-9a-f]+$/i.test(trimmed)) return undefined
  const bits = Number.parseInt(trimmed, 16)
  return { undervoltage: (bits & undervoltageNow) !== 0, throttled: (bits & slowedNow) !== 0 }
}

/** Undefined on every other machine. */
export const readSupply = async (file = throttledFile): Promise<Supply | undefined> =>
  supplyOf(await readFile(file, 'utf8').catch(() => ''))
