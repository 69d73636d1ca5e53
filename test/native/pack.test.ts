// nft-js as others get it: packed, and installed in an empty folder outside of the repository.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const native = join(root, 'native')
const folder = mkdtempSync(join(tmpdir(), 'nft-js-pack-'))
const installed = join(folder, 'node_modules/nft-js')
const modules = join(root, 'node_modules')

/** Node-API's headers, and node-gyp itself, which npm brings along elsewhere. */
const env = {
  ...process.env,
  PATH: `${dirname(process.execPath)}:${join(modules, '.bin')}:${process.env.PATH}`,
  npm_config_nodedir: dirname(dirname(process.execPath)),
  npm_config_ignore_scripts: 'false',
  NODE_COMPILE_CACHE: undefined,
  NODE_TEST_CONTEXT: undefined,
}
const npm = (cwd: string, ...args: string[]) => execFileSync('npm', ['--loglevel=error', ...args], { cwd, env, encoding: 'utf8' })
const sources = () => readdirSync(native).filter((name) => !['build', 'prebuilds', 'node_modules'].includes(name))

before(() => execFileSync('make', ['-s', '-C', native, 'prebuild'], { stdio: 'inherit' }))
after(() => rmSync(folder, { recursive: true }))

/** The pinned one, and the machine's own if it is one that the package is for. */
const nodes = [process.execPath, '/usr/bin/node', '/usr/local/bin/node'].filter(
  (node) => existsSync(node) && Number(/^v(\d+)/.exec(execFileSync(node, ['--version'], { encoding: 'utf8' }))?.[1]) >= 20,
)

const works = () => {
  const program = `import { openNft, SysError } from 'nft-js'
import { masquerade } from 'nft-js/nftables/statement.ts'
if (typeof masquerade !== 'function') throw new Error('no masquerade')
await openNft({ netns: '/nonexistent' }).then(() => console.log('?'), (error) => console.log(error instanceof SysError, error.code, error.syscall))`
  writeFileSync(join(folder, 'program.mjs'), program)
  return nodes.map((node) => execFileSync(node, ['program.mjs'], { cwd: folder, env, encoding: 'utf8' }).trim())
}

test('packed, it is JavaScript with declarations, and the folder is as it was', () => {
  const [manifest, names] = [readFileSync(join(native, 'package.json'), 'utf8'), sources()]
  npm(native, 'pack', '--pack-destination', folder)
  assert.equal(readFileSync(join(native, 'package.json'), 'utf8'), manifest)
  assert.deepEqual(sources(), names)
  // npm 11 asks whose install scripts may run.
  writeFileSync(join(folder, 'package.json'), '{"private":true,"allowScripts":{"nft-js":true}}')
  npm(
    folder,
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz'))!),
  )
  const served = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as { exports: Record<string, Record<string, string>> }
  for (const path of Object.values(served.exports['.'] ?? {})) assert(existsSync(join(installed, path)), path)
})

test('its prebuilt addon is found, and nothing is compiled', () => {
  assert(!existsSync(join(installed, 'build')))
  assert.deepEqual(new Set(works()), new Set(['true ENOENT open']))
})

test('without a prebuilt one it is built from source', () => {
  rmSync(join(installed, 'prebuilds'), { recursive: true })
  assert.throws(works, /not built for linux/)
  npm(folder, 'rebuild', 'nft-js')
  assert(existsSync(join(installed, 'build/Release/nft.node')))
  assert.deepEqual(new Set(works()), new Set(['true ENOENT open']))
})
