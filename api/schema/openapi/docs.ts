// Descriptions of types and fields, as generate-docs.ts collected them at install. They are read for each
// document and not kept: only `kubectl explain` and its like ask for them.

import { readFileSync } from 'node:fs'

/** By the type's OpenAPI name; '' is the type's own description, the others are its fields'. */
export type Docs = Readonly<Record<string, Readonly<Record<string, string>>>>

/** Nothing where the file was never generated. */
export function readDocs(): Docs {
  try {
    return JSON.parse(readFileSync(new URL('../docs.gen.json', import.meta.url), 'utf8')) as Docs
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}
