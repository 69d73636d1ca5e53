// Collects the descriptions of types and fields from the declarations of @kubernetes/client-node into
// ../docs.gen.json, for `kubectl explain`. Runs at install; where that development dependency is
// missing, there are no descriptions.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { packages } from '../table.ts'

type Model = Map<string, string>

const models = fileURLToPath(new URL('dist/gen/models/', import.meta.resolve('@kubernetes/client-node/package.json')))

/** Class → descriptions by the letters of the field's name; '' is the class's own. */
const described = new Map<string, Model>()
for (const file of readdirSync(models).filter((name) => name.endsWith('.d.ts'))) {
  const source = readFileSync(models + file, 'utf8')
  const { program, comments } = parseSync(file, source)
  const before = (start: number): string | undefined => {
    const comment = comments.findLast(({ end }) => end <= start)
    return comment && /^\s*$/.test(source.slice(comment.end, start)) ? clean(comment.value) : undefined
  }
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration' || statement.declaration?.type !== 'ClassDeclaration') continue
    const { id, body } = statement.declaration
    const model: Model = new Map()
    const own = before(statement.start)
    if (own) model.set('', own)
    for (const member of body.body) {
      if (member.type !== 'PropertyDefinition' || member.key.type !== 'Literal') continue
      const text = before(member.start)
      if (text) model.set(letters(String(member.key.value)), text)
    }
    if (id) described.set(id.name, model)
  }
}

const docs: Record<string, Record<string, string>> = {}
for (const [pkg, { version, types }] of Object.entries(packages())) {
  const prefix = capital(version)
  const family = capital(pkg.split('/').at(-2) ?? '')
  for (const [name, { fields }] of Object.entries(types)) {
    const model = described.get(`${family}${prefix}${name}`) ?? described.get(`${prefix}${name}`)
    if (!model) continue
    const entries = (fields ?? [])
      .flatMap((field) => fieldNames(field.name, field.inline ? field.type : ''))
      .map((field) => [field, model.get(letters(field))])
    const known = entries.filter((entry): entry is [string, string] => !!entry[1])
    const own = model.get('')
    if (own || known.length) docs[`io.k8s.${pkg.replaceAll('/', '.')}.${name}`] = { ...(own && { '': own }), ...Object.fromEntries(known) }
  }
}
writeFileSync(new URL('../docs.gen.json', import.meta.url), JSON.stringify(docs))

/** An embedded struct's fields count as the type's own. */
function fieldNames(name: string, inline: string): string[] {
  if (!inline) return [name]
  const dot = inline.lastIndexOf('.')
  const fields = packages()[inline.slice(inline.startsWith('*') ? 1 : 0, dot)]?.types[inline.slice(dot + 1)]?.fields ?? []
  return fields.flatMap((field) => fieldNames(field.name, field.inline ? field.type : ''))
}

function letters(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}

function clean(comment: string): string {
  const lines = comment.split('\n').map((line) => line.replace(/^\s*\*\s?/, ''))
  return lines
    .join('\n')
    .trim()
    .replace(/\\(['"])/g, '$1')
}
