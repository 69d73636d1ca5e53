// docs/conformance.md names tests that there are, and every file of the suite.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '../..')

test('the table of capabilities is true', async () => {
  const table = await readFile(join(root, 'docs/conformance.md'), 'utf8')
  const rows = [...table.matchAll(/^\| .* \| `([^`]+\.test\.ts)` \| (.*?) ?\|$/gm)]
  assert.ok(rows.length > 40)
  for (const [row, file = '', name = ''] of rows) {
    assert.ok((await readFile(join(root, file), 'utf8')).includes(name), `there is no such test: ${row}`)
  }
  const named = new Set(rows.map(([, file]) => file))
  const files = (await readdir(import.meta.dirname)).filter((file) => file.endsWith('.test.ts') && file !== 'documentation.test.ts')
  assert.deepEqual(
    files.filter((file) => !named.has(`test/conformance/${file}`)),
    [],
  )
})
