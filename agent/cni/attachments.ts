// What was attached, on disk: a pod's record is there before the first plugin runs and gone after the last
// has undone it, so that whatever a crash leaves is found and taken back.

import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../images/malformed.ts'
import type { Attachment } from './chain.ts'
import type { Result } from './result.ts'

/** Without a result: nobody knows how far ADD came. */
export type Record = { readonly attachment: Attachment; readonly result?: Result }

const suffix = '.json'

/** Of a folder that is the agent's own; records by pod uid. */
export const attachmentsIn = (dir: string) => {
  const fileOf = (uid: string) => join(dir, uid + suffix)
  return {
    /** Pods that have a record. */
    list: async (): Promise<string[]> =>
      (await readdir(dir).catch(() => [])).filter((name) => name.endsWith(suffix)).map((name) => name.slice(0, -suffix.length)),
    /** One that cannot be read counts as none: what it was of is then for the plugins' garbage collection. */
    async get(uid: string): Promise<Record | undefined> {
      try {
        return JSON.parse(await readFile(fileOf(uid), 'utf8')) as Record
      } catch (error) {
        if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return undefined
        throw error
      }
    },
    /** On the disk once this resolves. */
    async put(uid: string, record: Record): Promise<void> {
      await mkdir(dir, { recursive: true, mode: 0o700 })
      const file = fileOf(uid)
      await writeFile(`${file}.new`, JSON.stringify(record), { mode: 0o600, flush: true })
      await rename(`${file}.new`, file)
    },
    remove: (uid: string): Promise<void> => rm(fileOf(uid), { force: true }),
  }
}

export type Attachments = ReturnType<typeof attachmentsIn>
