import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { mounts } from 'nft-js'
import { silent } from '#api/log.ts'
import { type ArchiveFile, buildImage, type ImageSource, ociArchive, tar } from '../../images/archive.ts'
import { type ImagesOptions, openImages } from './store.ts'

type Options = Partial<ImagesOptions> & { parent?: string }

/** Memory, where syncing waits for no disk. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

async function storeFor(t: TestContext, options: Options = {}) {
  const dir = mkdtempSync(join(options.parent ?? memory, 'coracle-images-'))
  const images = await openImages({ dir, log: silent, platform: { architecture: 'amd64' }, ...options })
  t.after(async () => {
    await images.close()
    rmSync(dir, { recursive: true, force: true })
  })
  const file = (content: Uint8Array) => {
    const path = join(dir, 'archive')
    writeFileSync(path, content)
    return path
  }
  return {
    images,
    dir,
    import: (content: Uint8Array, name?: string) => images.import(file(content), { name }),
    importLayers: async (...layers: ArchiveFile[][]) => {
      const image = { ...plain, layers: await Promise.all(layers.map((files) => tar(files))) }
      return (await images.import(file(await ociArchive([image]))))[0]!
    },
    /** What is stored: nothing, for an import that failed. */
    left: () => ['blobs/sha256', 'layers', 'names', 'staging'].flatMap((name) => readdirSync(join(dir, name))),
  }
}

const plain: ImageSource = { names: ['docker.io/library/t:1'], layers: [], architecture: 'amd64' }
const hello: ArchiveFile[] = [{ path: 'hello', content: 'hello' }]

test('an image archive, plain or compressed, is imported and found by name, digest and id', async (t) => {
  const layer = await tar([
    { path: 'etc/', type: 'directory', mode: 0o750, uid: 7, gid: 8, mtime: 1_000_000 },
    { path: 'etc/su', content: 'x', mode: 0o4755, uid: 1000, gid: 1001, mtime: 1_234_567 },
    { path: 'etc/hard', type: 'link', link: 'etc/su' },
    { path: 'etc/soft', type: 'symlink', link: '/somewhere/else' },
    { path: 'big', content: Buffer.alloc(700_000, 'b') },
    { path: 'pipe', type: 'fifo', mode: 0o622 },
    { path: 'dev/sda', type: 'block-device' },
    { path: `${'long/'.repeat(40)}name`, content: 'deep' },
  ])
  for (const compression of ['none', 'gzip', 'zstd'] as const) {
    for (const outer of [(content: Buffer) => content, gzipSync, zstdCompressSync]) {
      const { images, import: load } = await storeFor(t)
      const config = { Entrypoint: ['/run'], Cmd: ['a'], Env: ['A=b'], User: '1:2', WorkingDir: '/w', StopSignal: 'SIGINT' }
      const [image] = await load(outer(await ociArchive([{ ...plain, layers: [layer], compression, config }])))
      assert.deepEqual(image!.names, ['docker.io/library/t:1'])
      assert.deepEqual(image!.config, {
        entrypoint: ['/run'],
        cmd: ['a'],
        env: ['A=b'],
        user: '1:2',
        workingDir: '/w',
        stopSignal: 'SIGINT',
      })
      for (const name of ['t:1', 'docker.io/library/t:1', image!.id, image!.digests[0]!])
        assert.deepEqual(await images.find(name), image, name)
      assert.equal(await images.find('t:2'), undefined)
      assert.deepEqual(await images.list(), [image])

      const at = (path: string) => join(image!.layers[0]!, path)
      const su = statSync(at('etc/su'))
      assert.deepEqual([su.mode & 0o7777, su.uid, su.gid, su.mtimeMs, su.nlink], [0o4755, 1000, 1001, 1_234_567_000, 2])
      assert.equal(statSync(at('etc/hard')).ino, su.ino)
      assert.equal(readlinkSync(at('etc/soft')), '/somewhere/else')
      const etc = statSync(at('etc'))
      assert.deepEqual([etc.mode & 0o7777, etc.uid, etc.gid, etc.mtimeMs], [0o750, 7, 8, 1_000_000_000])
      assert.deepEqual(readFileSync(at('big')), Buffer.alloc(700_000, 'b'))
      assert.equal(readFileSync(at(`${'long/'.repeat(40)}name`), 'utf8'), 'deep')
      assert.ok(lstatSync(at('pipe')).isFIFO())
      assert.ok(!existsSync(at('dev/sda')), 'device nodes are not unpacked')
      assert.ok(image!.size > 700_000 && image!.size < 720_000)
    }
  }
})

test('a docker-save archive: names from RepoTags, layers repeated as links', async (t) => {
  const { import: load, images } = await storeFor(t)
  const layer = await tar(hello)
  const built = buildImage({ ...plain, layers: [layer, layer], compression: 'none' })
  const config = built.blobs.find(({ digest }) => digest === built.config.digest)!.content
  const archive = await tar([
    { path: 'a/layer.tar', content: layer },
    { path: 'b/layer.tar', type: 'symlink', link: '../a/layer.tar' },
    { path: 'config.json', content: config },
    {
      path: 'manifest.json',
      content: JSON.stringify([{ Config: 'config.json', RepoTags: ['t:1', 'x.io/t:2'], Layers: ['a/layer.tar', 'b/layer.tar'] }]),
    },
  ])
  const [image] = await load(gzipSync(archive))
  assert.deepEqual(image!.names, ['docker.io/library/t:1', 'x.io/t:2'])
  assert.equal(image!.layers.length, 2)
  assert.equal((await images.find('t:1'))!.id, built.config.digest)
})

test('a name by digest is taken only where it is the digest of that image', async (t) => {
  const { import: load, images, left } = await storeFor(t)
  const built = buildImage({ ...plain, layers: [await tar(hello)] })
  const other = `docker.io/library/t@sha256:${'a'.repeat(64)}`
  const named = async (name: string) => ociArchive([{ ...plain, names: [name], layers: [await tar(hello)] }])
  const refused = { reason: 'InvalidArchive', message: `cannot import archive: it names an image ${other}, which has another digest` }
  await assert.rejects(load(await named(other)), refused)
  await assert.rejects(load(await named('t:1'), other), refused)
  const config = built.blobs.find(({ digest }) => digest === built.config.digest)!.content
  const layer = await tar(hello)
  const docker = (name: string) =>
    tar([
      { path: 'layer.tar', content: layer },
      { path: 'config.json', content: config },
      { path: 'manifest.json', content: JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]) },
    ])
  await assert.rejects(load(await docker(other)), refused)
  // The digest of its configuration is its id, and no name.
  await assert.rejects(load(await docker(`t@${built.config.digest}`)), { reason: 'InvalidArchive' })
  assert.deepEqual(left(), [])
  const [digest] = (await load(await named('t:1')))[0]!.digests
  const [image] = await load(await named(digest!))
  assert.deepEqual(await images.find(digest!), image)
})

test('layers show what they should above each other', async (t) => {
  const { importLayers, dir } = await storeFor(t)
  const image = await importLayers(
    [
      { path: 'tmp/', type: 'directory', mode: 0o1777, uid: 3, gid: 4 },
      { path: 'usr/lib/', type: 'directory', mode: 0o711 },
      { path: 'usr/lib/old', content: 'old' },
      { path: 'lib', type: 'symlink', link: 'usr/lib' },
      { path: 'gone', content: 'x' },
      { path: 'emptied/a', content: 'x' },
      { path: 'emptied/b/c', content: 'x' },
    ],
    [
      { path: 'tmp/file', content: 'new' },
      { path: 'lib/new', content: 'new' },
      { path: '.wh.gone', content: '' },
      { path: '.wh.never-there', content: '' },
      { path: 'emptied/.wh..wh..opq', content: '' },
      { path: 'emptied/d', content: 'x' },
    ],
    [{ path: 'gone', content: 'back' }],
  )
  const target = join(dir, 'merged')
  mkdirSync(target)
  const merge = async <T>(layers: string[], look: () => T): Promise<T> => {
    await mounts.mount({
      source: 'overlay',
      target,
      type: 'overlay',
      data: `lowerdir=${[...layers.toReversed(), join(dir, 'staging')].join(':')}`,
    })
    try {
      return look()
    } finally {
      await mounts.unmount(target)
    }
  }
  const seen = (path: string) => join(target, path)
  await merge(image.layers.slice(0, 2), () => {
    assert.ok(!existsSync(seen('gone')))
    assert.deepEqual(readdirSync(seen('emptied')), ['d'])
    assert.equal(readlinkSync(seen('lib')), 'usr/lib', 'a directory that the archive only implies follows the link below')
    assert.deepEqual(readdirSync(seen('usr/lib')), ['new', 'old'])
    assert.equal(statSync(seen('usr/lib')).mode & 0o7777, 0o711)
    const tmp = statSync(seen('tmp'))
    assert.deepEqual([tmp.mode & 0o7777, tmp.uid, tmp.gid], [0o1777, 3, 4], 'an implied directory keeps the owner and mode from below')
    assert.deepEqual(readdirSync(target).sort(), ['emptied', 'lib', 'tmp', 'usr'])
  })
  await merge(image.layers, () => assert.equal(readFileSync(seen('gone'), 'utf8'), 'back'))
})

test('binary attributes, odd names and repeated entries survive', async (t) => {
  // Older kernels keep no `user.` attributes in memory.
  const { import: load } = await storeFor(t, { parent: tmpdir() })
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')
  const record = (key: string, value: Buffer) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
    let length = rest.length
    while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length
    return Buffer.concat([Buffer.from(`${length}`), rest])
  }
  const binary = Buffer.from([0xff, 0x00, 0x80, 0x0a])
  const odd = Buffer.from('caf\xe9', 'latin1')
  const pax = Buffer.concat([
    record('SCHILY.xattr.security.capability', capability),
    record('SCHILY.xattr.user.binary', binary),
    record('SCHILY.xattr.trusted.overlay.redirect', Buffer.from('/')),
    record('path', odd),
  ])
  const header = await tar([{ path: 'pax', content: pax }])
  header[156] = 'x'.charCodeAt(0)
  checksum(header)
  const layer = Buffer.concat([
    header.subarray(0, header.length - 1024),
    await tar([
      { path: 'x', content: 'one' },
      { path: 'd/', type: 'directory' },
      { path: 'd', content: 'two' },
    ]),
  ])
  const [image] = await load(await ociArchive([{ ...plain, layers: [layer] }]))
  const root = image!.layers[0]!
  assert.deepEqual(readdirSync(root, 'buffer').toSorted(Buffer.compare), [odd, Buffer.from('d')])
  assert.equal(readFileSync(join(root, 'd'), 'utf8'), 'two')
  // As tar reads them, since Node cannot.
  const back = execFileSync('tar', ['-C', root, '--xattrs', '--xattrs-include=*', '-c', '.'])
  assert.ok(back.includes(Buffer.concat([Buffer.from('SCHILY.xattr.security.capability='), capability])))
  assert.ok(back.includes(Buffer.concat([Buffer.from('SCHILY.xattr.user.binary='), binary])))
  assert.ok(!back.includes('trusted.overlay'))
})

test('hostile and broken layers are refused and leave nothing', async (t) => {
  const { importLayers, left } = await storeFor(t, { limits: { bytes: 1 << 20, entries: 100 } })
  const outside = join(tmpdir(), `coracle-outside-${process.pid}`)
  const hostile: [string, ArchiveFile[]][] = [
    ['a parent path', [{ path: '../x', content: 'x' }]],
    ['a parent path inside', [{ path: 'a/../../x', content: 'x' }]],
    ['an absolute path', [{ path: outside, content: 'x' }]],
    [
      'a file through a link',
      [
        { path: 'l', type: 'symlink', link: tmpdir() },
        { path: `l/${outside.split('/').at(-1)}`, content: 'x' },
      ],
    ],
    [
      'a directory through a link',
      [
        { path: 'l', type: 'symlink', link: '..' },
        { path: 'l/x/', type: 'directory' },
      ],
    ],
    ['a hard link outside', [{ path: 'h', type: 'link', link: '../../../../../../etc/passwd' }]],
    ['an absolute hard link', [{ path: 'h', type: 'link', link: '/etc/passwd' }]],
    [
      'a hard link through a link',
      [
        { path: 'l', type: 'symlink', link: '/etc' },
        { path: 'h', type: 'link', link: 'l/passwd' },
      ],
    ],
    ['a hard link to nothing', [{ path: 'h', type: 'link', link: 'nothing' }]],
    ['a whiteout of the parent', [{ path: 'a/.wh...', content: '' }]],
    [
      'a path through a file',
      [
        { path: 'f', content: 'x' },
        { path: 'f/g', content: 'x' },
      ],
    ],
    ['too many bytes', [{ path: 'f', content: Buffer.alloc((1 << 20) + 1) }]],
    ['too many entries', Array.from({ length: 101 }, (_, at) => ({ path: `f${at}` }))],
    ['a name too long', [{ path: 'n'.repeat(300), content: 'x' }]],
  ]
  for (const [what, files] of hostile) {
    await assert.rejects(importLayers(hello, files), { name: 'ImageError', reason: 'InvalidArchive' }, what)
    assert.deepEqual(left(), [], what)
  }
  assert.ok(!existsSync(outside))
})

test('an archive damaged anywhere is refused and leaves nothing', async (t) => {
  const { import: load, left, images } = await storeFor(t)
  const whole = await ociArchive([{ ...plain, layers: [await tar(hello), await tar([{ path: 'b', content: Buffer.alloc(5000, 'b') }])] }])
  const refused = async (content: Uint8Array, what: string) => {
    await assert.rejects(load(content), { name: 'ImageError', reason: 'InvalidArchive' }, what)
    assert.deepEqual(left(), [], what)
  }
  await refused(Buffer.alloc(0), 'empty')
  await refused(Buffer.from('not an archive at all'.repeat(50)), 'text')
  const end = whole.length - 1024
  for (let length = 1; length < end; length += 487) await refused(whole.subarray(0, length), `cut at ${length}`)
  const packed = gzipSync(whole)
  for (const length of [3, 100, packed.length - 20]) await refused(packed.subarray(0, length), `gzip cut at ${length}`)
  // The last blob is the manifest of nothing else than what precedes it: flip one byte in each blob.
  for (let at = whole.indexOf('blobs/sha256/') + 1536; at < end; at += 512) {
    const damaged = Buffer.from(whole)
    damaged[at + 10]! ^= 1
    const result = await load(damaged).catch((error: unknown) => error)
    if (result instanceof Error) assert.equal((result as { reason?: string }).reason, 'InvalidArchive')
    else await images.remove('t:1')
    assert.deepEqual(left(), [], `flipped at ${at}`)
  }
})

test('wrong manifests are refused with the reason', async (t) => {
  const { import: load, left } = await storeFor(t)
  const layer = await tar(hello)
  const refused = async (image: Partial<ImageSource>, message: RegExp) => {
    await assert.rejects(async () => load(await ociArchive([{ ...plain, layers: [layer], ...image }])), {
      reason: 'InvalidArchive',
      message,
    })
    assert.deepEqual(left(), [])
  }
  await refused({ architecture: 'riscv64' }, /no match for platform in manifest: linux\/amd64 is not among linux\/riscv64/)
  await refused({ config: { Cmd: 'text' } }, /image configuration.config.Cmd must be a list/)
  await refused({ names: ['x.io/UPPER:1'] }, /must be lowercase/)
  await assert.rejects(load(await tar([{ path: 'index.json', content: '{' }])), { message: /index is not JSON/ })
  await assert.rejects(load(await tar([{ path: 'x' }])), { message: /neither an OCI nor a docker image archive/ })
})

test('the machine chooses its own platform', async (t) => {
  const of = async (architecture: string, variant?: string): Promise<ImageSource> => ({
    ...plain,
    architecture,
    ...(variant ? { variant } : {}),
    layers: [await tar([{ path: 'which', content: architecture + (variant ?? '') }])],
  })
  const archive = await ociArchive([await of('amd64'), await of('arm', 'v6'), await of('arm', 'v7'), await of('arm64', 'v8')])
  for (const [architecture, variant, expected] of [
    ['amd64', undefined, 'amd64'],
    ['arm64', undefined, 'arm64v8'],
    ['arm', 'v7', 'armv7'],
    ['arm', 'v6', 'armv6'],
  ] as const) {
    const { import: load } = await storeFor(t, { platform: { architecture, variant } })
    const [image] = await load(archive)
    assert.equal(readFileSync(join(image!.layers[0]!, 'which'), 'utf8'), expected)
  }
})

test('an image in use stays; a removed one takes only what no other needs', async (t) => {
  const { importLayers, import: load, images, left, dir } = await storeFor(t)
  const one = await importLayers(hello, [{ path: 'one' }])
  await load(await ociArchive([{ ...plain, names: ['t:2', 't:3'], layers: [await tar(hello), await tar([{ path: 'two' }])] }]))
  assert.equal(readdirSync(join(dir, 'layers')).length, 3, 'the common layer is there once')

  const release = images.hold(one.id)
  assert.equal(await images.remove('t:1'), false)
  release()
  const target = join(dir, 'merged')
  mkdirSync(target)
  await mounts.mount({ source: 'overlay', target, type: 'overlay', data: `lowerdir=${one.layers.toReversed().join(':')}` })
  assert.equal(await images.remove('t:1'), false, 'a container has it mounted')
  await mounts.unmount(target)
  assert.equal(await images.remove('t:1'), true)
  assert.equal(await images.remove('t:1'), false)
  assert.equal(readdirSync(join(dir, 'layers')).length, 2)

  assert.equal(await images.remove('t:2'), true)
  assert.deepEqual((await images.find('t:3'))!.names, ['docker.io/library/t:3'])
  assert.equal(await images.remove('t:3'), true)
  assert.deepEqual(left(), [])
})

test('a full disk is relieved of the longest unused images', async (t) => {
  let free = 5
  const { import: load, images } = await storeFor(t, {
    disk: async () => ({ total: 100, free: free + 10 * (3 - (await images.list()).length) }),
  })
  for (const name of ['t:1', 't:2', 't:3'])
    await load(await ociArchive([{ ...plain, names: [name], layers: [await tar([{ path: name }])] }]))
  const id = async (name: string) => (await images.find(name))!.id
  images.hold(await id('t:1'))()
  const release = images.hold(await id('t:2'))
  free = 20
  assert.deepEqual(await images.prune({ highPercent: 85, lowPercent: 80 }), [])
  free = 5
  const removed = await images.prune({ highPercent: 85, lowPercent: 60, keep: ({ names }) => names.includes('docker.io/library/t:1') })
  assert.deepEqual(
    removed.flatMap(({ names }) => names),
    ['docker.io/library/t:3'],
    'not what is in use, nor what is to be kept',
  )
  release()
})

test('an image that lost a part is forgotten at the next opening', async (t) => {
  const { importLayers, import: load, dir } = await storeFor(t)
  const broken = await importLayers(hello)
  await load(await ociArchive([{ ...plain, names: ['t:2'], layers: [await tar([{ path: 'two' }])] }]))
  rmSync(join(broken.layers[0]!, '..'), { recursive: true })
  const again = await openImages({ dir, log: silent })
  assert.deepEqual(
    (await again.list()).flatMap(({ names }) => names),
    ['docker.io/library/t:2'],
  )
  await again.close()
})

test('two processes share a store: what one imports the other finds, and a killed import leaves nothing', async (t) => {
  const { images, dir, left } = await storeFor(t)
  const archive = join(dir, 'a.tar')
  writeFileSync(archive, await ociArchive([{ ...plain, layers: [await tar(hello)] }]))
  const program = `
    import { openImages } from '${import.meta.dirname}/store.ts'
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const images = await openImages({ dir: process.argv[1], log, platform: { architecture: 'amd64' } })
    console.log('open')
    await images.import(process.argv[2])`
  const run = (file: string) =>
    spawn(process.execPath, ['--input-type=module-typescript', '-e', program, dir, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [code] = await once(run(archive), 'exit')
  assert.equal(code, 0)
  assert.equal((await images.find('t:1'))!.names.length, 1)
  assert.equal(await images.remove('t:1'), true)
  assert.deepEqual(left(), [])

  const many = Array.from({ length: 5_000 }, (_, at) => ({ path: `f${at}`, content: 'x' }))
  writeFileSync(archive, await ociArchive([{ ...plain, layers: [await tar(many)] }]))
  const child = run(archive)
  const exit = once(child, 'exit')
  while (left().length === 0 && child.exitCode === null) await new Promise((resolve) => setImmediate(resolve))
  child.kill('SIGKILL')
  assert.deepEqual(await exit, [null, 'SIGKILL'])
  assert.notDeepEqual(left(), [])
  const again = await openImages({ dir, log: silent })
  assert.deepEqual(left(), [])
  await again.close()
})

function checksum(header: Buffer): void {
  header.fill(' ', 148, 156)
  const sum = header.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
}
