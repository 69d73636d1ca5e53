// A small Linux: Debian's static busybox under the name of each of its applets.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { ArchiveFile } from './archive.ts'

const run = promisify(execFile)

export async function busyboxFiles(binary: string): Promise<ArchiveFile[]> {
  const applets = (await run(binary, ['--list'])).stdout.split('\n').filter((name) => name !== '' && name !== 'busybox')
  const directory = (path: string, mode = 0o755): ArchiveFile => ({ path, type: 'directory', mode })
  return [
    directory('./'),
    directory('bin/'),
    { path: 'bin/busybox', content: await readFile(binary), mode: 0o755 },
    ...applets.sort().map((name): ArchiveFile => ({ path: `bin/${name}`, type: 'symlink', link: 'busybox' })),
    directory('dev/'),
    directory('etc/'),
    { path: 'etc/group', content: 'root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n' },
    { path: 'etc/nsswitch.conf', content: 'hosts: files dns\n' },
    {
      path: 'etc/passwd',
      content:
        'root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
    },
    directory('home/'),
    directory('proc/'),
    directory('root/', 0o700),
    directory('sys/'),
    directory('tmp/', 0o1777),
    directory('usr/'),
    directory('usr/bin/'),
    { path: 'usr/bin/env', type: 'symlink', link: '../../bin/busybox' },
    directory('var/'),
    directory('var/run/'),
    directory('var/www/'),
  ]
}
