// A virtual machine with Debian's own kernel, for what this one's does not have. All that it needs is in its
// initial file system: busybox, the pinned Node, our sources, and the kernel's modules.

import { execFile } from 'node:child_process'
import { copyFile, cp, mkdir, mkdtemp, readdir, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
/** Unpacked by the Makefile. */
const kernels = join(root, '.coracle/debian-kernel')

/** Runs a program of this repository in the machine; resolves with what it and the kernel printed. */
export async function inMachine({ program, modules }: { program: string; modules: readonly string[] }): Promise<string> {
  const [release = ''] = await readdir(join(kernels, 'lib/modules'))
  const dir = await mkdtemp(join(tmpdir(), 'coracle-vm-'))
  try {
    const files = join(dir, 'files')
    await fill(files, { program, modules, kernel: join(kernels, 'lib/modules', release, 'kernel') })
    const initrd = join(dir, 'initrd')
    await run('sh', ['-c', `cd "${files}" && find . | cpio -o -H newc --quiet > "${initrd}"`])
    const machine = '-accel tcg,thread=single -cpu max -smp 1 -m 1024 -nographic -no-reboot -nodefaults -serial stdio'
    const boot = ['-kernel', join(kernels, `boot/vmlinuz-${release}`), '-initrd', initrd, '-append', 'console=ttyS0 quiet panic=-1']
    const { stdout } = await run('qemu-system-x86_64', [...machine.split(' '), ...boot], { timeout: 240_000, maxBuffer: 16 << 20 })
    return stdout
  } finally {
    await rm(dir, { recursive: true })
  }
}

type Content = { program: string; modules: readonly string[]; kernel: string }

async function fill(files: string, { program, modules, kernel }: Content): Promise<void> {
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'tmp', 'run', 'modules', 'work']) await mkdir(join(files, folder), { recursive: true })
  await copyFile('/bin/busybox', join(files, 'bin/busybox'))
  for (const applet of ['sh', 'cat', 'nc', 'nsenter']) await symlink('busybox', join(files, 'bin', applet))
  const node = await realpath(process.execPath)
  await copyFile(node, join(files, 'bin/node'))
  const { stdout } = await run('ldd', [node])
  for (const [, library = ''] of stdout.matchAll(/(\/\S+) \(0x/g)) {
    await mkdir(join(files, dirname(library)), { recursive: true })
    await copyFile(await realpath(library), join(files, library))
  }
  for (const folder of ['api', 'agent', 'native', 'test/vm', 'package.json'])
    await cp(join(root, folder), join(files, 'work', folder), { recursive: true })
  await mkdir(join(files, 'work/node_modules'))
  await symlink('../native', join(files, 'work/node_modules/nft-js'))
  const found = await readdir(kernel, { recursive: true })
  for (const name of modules) {
    const path = found.find((each) => basename(each) === `${name}.ko`)
    if (path) await copyFile(join(kernel, path), join(files, 'modules', `${name}.ko`))
  }
  await writeFile(join(files, 'init'), init(program), { mode: 0o755 })
}

// Modules are tried until none is left that waits for another.
const init = (program: string): string => `#!/bin/sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sysfs /sys; $b mount -t devtmpfs dev /dev; $b mount -t tmpfs tmp /tmp
for i in 1 2 3 4 5 6; do for m in /modules/*.ko; do $b insmod $m 2>/dev/null && $b rm $m; done; done
cd /work
PATH=/bin HOME=/tmp /bin/node --disable-warning=ExperimentalWarning --test-reporter=tap ${program}
echo "ended with $?"
$b poweroff -f
`
