// Golden text for tests: what stands in golden/, or with UPDATE_GOLDEN=1 what is to stand there.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const golden = (name: string, actual: string): string => {
  const file = join(import.meta.dirname, 'golden', `${name}.nft`)
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, actual)
  return readFileSync(file, 'utf8')
}
