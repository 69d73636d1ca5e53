// A container's root: its image's layers, read-only, under a writable one of its own.

import { constants } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Mounts } from 'nft-js'

/** open(2): a reference to the folder and nothing more. Not among Node's constants. */
const O_PATH = 0o10000000

/** mount(2) takes at most a page of options. */
const longestOptions = 4095

/** The options of one overlay; `lowest first` as images list layers, overlayfs wants the topmost first. */
export function overlayOptions(layers: string[], upper: string, work: string): string {
  return `lowerdir=${layers.toReversed().map(escape).join(':')},upperdir=${escape(upper)},workdir=${escape(work)}`
}

/** `:` parts the layers and `,` the options. */
const escape = (path: string): string => path.replace(/[\\:,]/g, '\\$&')

/** Mounts `layers` on `<dir>/rootfs`, with what is written kept in `<dir>/upper`. */
export async function mountLayers(mounts: Mounts, dir: string, layers: string[]): Promise<void> {
  const [target, upper, work] = [join(dir, 'rootfs'), join(dir, 'upper'), join(dir, 'work')]
  await Promise.all([target, upper, work].map((path) => mkdir(path)))
  const mount = (paths: string[]) => mounts.mount({ source: 'overlay', target, type: 'overlay', data: overlayOptions(paths, upper, work) })
  if (overlayOptions(layers, upper, work).length <= longestOptions) return mount(layers)
  // Too many or too long: name them by descriptors, which are short.
  const handles: FileHandle[] = []
  try {
    for (const layer of layers) handles.push(await open(layer, O_PATH | constants.O_DIRECTORY))
    await mount(handles.map((handle) => `/proc/self/fd/${handle.fd}`))
  } finally {
    await Promise.all(handles.map((handle) => handle.close()))
  }
}
