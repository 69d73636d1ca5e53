import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'

/** Debian keeps runc where the PATH of a plain user does not lead. */
const also = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The absolute path of a program named as in PATH: conmon takes no other. Throws where there is none. */
export async function findProgram(name: string, path = process.env['PATH'] ?? ''): Promise<string> {
  const candidates = name.includes('/') ? [name] : [...path.split(':').filter(Boolean), ...also].map((folder) => join(folder, name))
  for (const candidate of candidates) {
    const runs = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (runs) return candidate
  }
  throw new Error(`${name} is not installed`)
}
