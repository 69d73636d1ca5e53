import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const native = join(root, 'native')
const prebuilt = (arch: string) => join(native, `prebuilds/linux-${arch}/node.napi.node`)

/** Of the platform that this machine is not. */
const other =
  process.arch === 'arm64'
    ? { arch: 'x64', qemu: 'qemu-x86_64-static', libc: '/usr/x86_64-linux-gnu' }
    : { arch: 'arm64', qemu: 'qemu-aarch64-static', libc: '/usr/aarch64-linux-gnu' }

before(() => execFileSync('make', ['-s', '-C', native, 'prebuild'], { stdio: 'inherit' }))

// elf.h: e_ident, e_type, e_machine
const ET_DYN = 3
const machines = { x64: 62, arm64: 183 }

for (const [arch, machine] of Object.entries(machines)) {
  test(`linux-${arch} is for that machine, and needs no newer system than Debian 12`, () => {
    const header = readFileSync(prebuilt(arch))
    assert.equal(header.toString('latin1', 0, 4), '\x7fELF')
    // 64 bits, little-endian.
    assert.deepEqual([header[4], header[5], header.readUInt16LE(16), header.readUInt16LE(18)], [2, 1, ET_DYN, machine])
    const dynamic = execFileSync('readelf', ['--wide', '--dynamic', prebuilt(arch)], { encoding: 'utf8' })
    const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name!)
    assert.deepEqual(
      needed.filter((name) => !/^(libc|libm|ld-linux-.*)\.so\.\d$/.test(name)),
      [],
    )
    const versions = execFileSync('readelf', ['--wide', '--version-info', prebuilt(arch)], { encoding: 'utf8' })
    const minors = [...versions.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor))
    assert(Math.max(...minors) <= 36, `GLIBC_2.${Math.max(...minors)}`)
    const symbols = execFileSync('readelf', ['--wide', '--dyn-syms', prebuilt(arch)], { encoding: 'utf8' })
    assert.match(symbols, /napi_register_module_v\d/)
  })
}

test('the other platform’s Node loads it without being told, and its calls reach the kernel', () => {
  const node = join(root, `.coracle/node-${other.arch}/node_modules/node-linux-${other.arch}/bin/node`)
  // What qemu forwards: nothing of netfilter's netlink, of rtnetlink the older half.
  const tests = ['load', 'addon', 'mounts', 'netlink/socket', 'nftables/batch', 'nftables/elements'].map((name) =>
    join(native, `${name}.test.ts`),
  )
  const skip = '--test-skip-pattern=workers'
  const { status, stdout, stderr } = spawnSync(
    other.qemu,
    ['-L', other.libc, node, '--test', '--test-isolation=none', '--test-reporter=tap', skip, ...tests],
    { encoding: 'utf8', env: { ...process.env, FUZZ_ROUNDS: '300', NODE_TEST_CONTEXT: undefined, NODE_COMPILE_CACHE: undefined } },
  )
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /^# pass 1\d$/m)
})
