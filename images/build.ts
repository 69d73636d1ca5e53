// Builds the images that a cluster needs before it can reach any registry: busybox and pause, as OCI
// archives in the folder given (default .coracle/images). Does nothing while its inputs are the same.

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ImageSource, ociArchive, tar } from './archive.ts'
import { busyboxFiles } from './busybox.ts'

const run = promisify(execFile)
const here = import.meta.dirname
const binary = '/bin/busybox'
const pauseSource = join(here, 'pause/pause.c')
const architecture = process.arch === 'x64' ? 'amd64' : process.arch

async function busybox(): Promise<ImageSource> {
  return {
    names: ['docker.io/library/busybox:latest', 'docker.io/library/busybox:1.35'],
    layers: [await tar(await busyboxFiles(binary))],
    architecture,
    config: { Cmd: ['sh'], Env: ['PATH=/bin:/usr/bin'] },
  }
}

async function pause(): Promise<ImageSource> {
  const dir = await mkdtemp(join(tmpdir(), 'coracle-pause-'))
  try {
    const program = join(dir, 'pause')
    await run('gcc', ['-static', '-Os', '-s', '-Wall', '-Werror', '-Wl,--build-id=none', '-o', program, pauseSource])
    return {
      names: ['registry.k8s.io/pause:3.10'],
      layers: [await tar([{ path: 'pause', content: await readFile(program), mode: 0o755 }])],
      architecture,
      config: { Entrypoint: ['/pause'], Env: ['PATH=/'], User: '65535:65535', WorkingDir: '/' },
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function inputs(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of [binary, pauseSource, ...['archive.ts', 'build.ts', 'busybox.ts'].map((name) => join(here, name))]) {
    hash.update(await readFile(file))
  }
  return hash.digest('hex')
}

const out = process.argv[2] ?? join(here, '../.coracle/images')
const stamp = join(out, 'inputs')
const wanted = await inputs()
if ((await readFile(stamp, 'utf8').catch(() => '')) !== wanted) {
  await mkdir(out, { recursive: true })
  for (const [name, image] of Object.entries({ busybox: await busybox(), pause: await pause() })) {
    const file = join(out, `${name}.tar`)
    await writeFile(`${file}.new`, await ociArchive([image]))
    await rename(`${file}.new`, file)
  }
  await writeFile(stamp, wanted)
}
