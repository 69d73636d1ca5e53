// What the pages name there is; docs/conformance.md names every file of the suite, docs/capabilities.md every test of whole clusters.

import assert from 'node:assert/strict'
import { access, readdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
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

test('every path and every page that is named exists', async () => {
  const pages = ['README.md', 'CONTRIBUTING.md', 'native/README.md', ...(await readdir(join(root, 'docs'))).map((name) => `docs/${name}`)]
  const missing: string[] = []
  for (const page of pages) {
    const text = await readFile(join(root, page), 'utf8')
    const paths = [...text.matchAll(/`((?:api|agent|cli|control|docs|images|native|test)\/[\w./-]+)`/g)].map(([, path = '']) => path)
    const links = [...text.matchAll(/\]\((?!\w+:)([^)#]+)/g)].map(([, path = '']) => join(dirname(page), path))
    for (const path of [...paths, ...links]) await access(join(root, path)).catch(() => missing.push(`${page}: ${path}`))
  }
  assert.deepEqual(missing, [])
})

test('every test of whole clusters shows a capability', async () => {
  const table = await readFile(join(root, 'docs/capabilities.md'), 'utf8')
  const files = (await readdir(join(root, 'test'))).filter((file) => file.endsWith('.test.ts'))
  assert.deepEqual(
    files.filter((file) => !table.includes(`\`test/${file}\``)),
    [],
  )
})
