// hostPath volumes: a path of the node itself, checked against the type that the pod expects there.

import { mkdir, stat, writeFile } from 'node:fs/promises'
import type { HostPathVolumeSource } from '#api/types/core-v1.gen.ts'
import type { VolumeDriver } from './driver.ts'
import { VolumeError } from './volume-error.ts'

/** Nothing of it is the pod's own: it is neither counted nor taken away. */
export const hostPaths: VolumeDriver = {
  types: ['hostPath'],
  async publish({ spec }) {
    const source = spec.persistentVolume?.spec.hostPath ?? spec.volume.hostPath
    return { path: await hostPath(source as HostPathVolumeSource) }
  },
  unpublish: async () => undefined,
  stats: async () => undefined,
}

async function hostPath({ path, type }: HostPathVolumeSource): Promise<string> {
  const kind = type ?? ''
  if (kind === '' || kind === 'DirectoryOrCreate') {
    const found = await look(path)
    if (!found) await mkdir(path, { recursive: true, mode: 0o755 })
    else if (kind !== '' && !found.isDirectory()) throw mismatch(path, 'directory')
    return path
  }
  if (kind === 'FileOrCreate') {
    if (!(await look(path))) await writeFile(path, '', { flag: 'a', mode: 0o644 })
    if (!(await look(path))?.isFile()) throw mismatch(path, 'file')
    return path
  }
  const found = await look(path)
  const fits = {
    Directory: found?.isDirectory(),
    File: found?.isFile(),
    Socket: found?.isSocket(),
    CharDevice: found?.isCharacterDevice(),
    BlockDevice: found?.isBlockDevice(),
  }[kind as string]
  if (!fits) throw mismatch(path, words[kind as string] ?? kind)
  return path
}

const words: Record<string, string> = {
  Directory: 'directory',
  File: 'file',
  Socket: 'socket file',
  CharDevice: 'character device',
  BlockDevice: 'block device',
}

const look = (path: string) => stat(path).catch(() => undefined)

const mismatch = (path: string, expected: string): VolumeError =>
  new VolumeError(`hostPath type check failed: ${path} is not a ${expected}`)
