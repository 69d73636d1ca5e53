// Collects the descriptions of types and fields into ../docs.gen.json, for `kubectl explain`: those of
// @kubernetes/client-node, which is new, but says nothing of fields that hold another type, or only what
// the type is; those of kubernetes-types for these; and our own words for what neither has. Runs at install; where these
// development dependencies are missing, there are no descriptions.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'oxc-parser'
import { type FieldFacts, factsOf, packages } from '../table.ts'
import { common, ownWords } from './own-words.ts'

type Model = Map<string, string>

type Declared = { id: { name: string } | null; body: { body: readonly Member[] } }
type Member = { type: string; start: number; key?: { type: string; name?: unknown; value?: unknown } }

/** Class or interface → descriptions by the letters of the field's name; '' is its own. */
function modelsOf(file: string, named: (type: string) => string, found: Map<string, Model>): void {
  const source = readFileSync(file, 'utf8')
  const { program, comments } = parseSync(file, source)
  const before = (start: number): string | undefined => {
    const comment = comments.findLast(({ end }) => end <= start)
    return comment && /^\s*$/.test(source.slice(comment.end, start)) ? clean(comment.value) : undefined
  }
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration') continue
    const { declaration } = statement
    if (declaration?.type !== 'ClassDeclaration' && declaration?.type !== 'TSInterfaceDeclaration') continue
    const { id, body } = declaration as Declared
    const model: Model = new Map()
    const own = before(statement.start)
    if (own) model.set('', own)
    for (const { type, key, start } of body.body) {
      if (type !== 'PropertyDefinition' && type !== 'TSPropertySignature') continue
      const text = before(start)
      if (text) model.set(letters(String(key?.type === 'Literal' ? key.value : key?.name)), text)
    }
    if (id) found.set(named(id.name), model)
  }
}

const newest = new Map<string, Model>()
const models = fileURLToPath(new URL('dist/gen/models/', import.meta.resolve('@kubernetes/client-node/package.json')))
for (const file of readdirSync(models).filter((name) => name.endsWith('.d.ts'))) modelsOf(models + file, (type) => type, newest)

/** By family, version and type: `core/v1.Pod`. */
const fuller = new Map<string, Model>()
const interfaces = fileURLToPath(new URL('./', import.meta.resolve('kubernetes-types/package.json')))
for (const file of readdirSync(interfaces, { recursive: true, encoding: 'utf8' }).filter((name) => /^\w+\/v\w+\.d\.ts$/.test(name)))
  modelsOf(interfaces + file, (type) => `${file.slice(0, -'.d.ts'.length)}.${type}`, fuller)

const nameOf = (pkg: string, type: string) => `io.k8s.${pkg.replaceAll('/', '.')}.${type}`
const docs: Record<string, Record<string, string>> = {}
/** Of each type, its fields with the types that they hold. */
const held = new Map<string, Named[]>()
for (const [pkg, { version, types }] of Object.entries(packages())) {
  const prefix = capital(version)
  const family = pkg.split('/').at(-2) ?? ''
  for (const [type, { fields }] of Object.entries(types)) {
    const name = nameOf(pkg, type)
    const own = ownWords[name]
    const sources = [
      newest.get(`${capital(family)}${prefix}${type}`) ?? newest.get(`${prefix}${type}`),
      fuller.get(`${family}/${version}.${type}`),
    ]
    const known: Record<string, string> = {}
    const all = (fields ?? []).flatMap(named)
    held.set(name, all)
    for (const { field, type: holds } of [{ field: '', type: '' }, ...all]) {
      const texts = sources.flatMap((model) => model?.get(letters(field)) ?? [])
      const text = texts.find((each) => !isOf(holds, each)) ?? own?.[field] ?? texts[0]
      if (text) known[field] = text
    }
    if (Object.keys(known).length > 0) docs[name] = known
  }
}
for (const [name, own] of Object.entries(ownWords)) docs[name] ??= { ...own }
// What is left holds a type that has a description of its own, or is as in every kind.
for (const [name, fields] of held) {
  const known = docs[name]
  if (!known) continue
  for (const { field, type } of fields) {
    const text =
      common[field] ??
      (type.includes('.') ? docs[nameOf(type.slice(0, type.lastIndexOf('.')), type.slice(type.lastIndexOf('.') + 1))]?.[''] : undefined)
    if (text) known[field] ??= text
  }
}
writeFileSync(new URL('../docs.gen.json', import.meta.url), JSON.stringify(docs))

type Named = { field: string; type: string }

/** An embedded struct's fields count as the type's own. `type`: what the field holds, of lists and maps what is in them. */
function named({ name, type, inline }: FieldFacts): Named[] {
  const inner = type.replace(/^(\*|\[\]|map\[[^\]]*\])+/, '')
  if (!inline) return [{ field: name, type: inner }]
  return (factsOf(inner)?.fields ?? []).flatMap(named)
}

/** Whether a field's description is but that of the type which it holds, as of fields that hold an IntOrString or a MicroTime. */
function isOf(type: string, text: string): boolean {
  return text.startsWith(`${type.slice(type.lastIndexOf('.') + 1)} is `)
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
