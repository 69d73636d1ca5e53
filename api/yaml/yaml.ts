// YAML as Kubernetes reads it: into JSON, in the dialect of sigs.k8s.io/yaml. One reader for request bodies and
// for every file of ours. Its time is linear in the text: a document has at most 1000 levels, and
// aliases that multiply are refused.

import { parseExact } from '../schema/exact.ts'
import { YamlError } from './error.ts'
import { Alias, type Mapping, maxDepth, type Node, Parser } from './parser.ts'

export { YamlError } from './error.ts'

export type Converted = {
  json: string
  /** `line 3: key "a" already set in map`; the last one counts. */
  duplicates: string[]
}

/** Of what aliases repeat, in characters of JSON. */
const mostJson = 16 * 1024 * 1024

/** The first document. Throws YamlError, whose message begins without `yaml: `. */
export function yamlToJson(text: string): Converted {
  const parser = new Parser(text)
  const node = parser.document()
  return { json: node === undefined ? 'null' : new Writer().text(node), duplicates: parser.duplicates }
}

/** The first document's value. Throws YamlError. */
export const parseYaml = (text: string): unknown => parseExact(yamlToJson(text).json)

/** All documents. Throws YamlError. */
export function parseYamlDocuments(text: string): unknown[] {
  const parser = new Parser(text)
  const values: unknown[] = []
  for (let node = parser.document(); node !== undefined; node = parser.document()) values.push(parseExact(new Writer().text(node)))
  return values
}

class Writer {
  readonly #parts: string[] = []
  #size = 0
  #nodes = 0
  #aliased = 0
  #aliases = 0
  #depth = 0

  text(node: Node): string {
    this.#node(node)
    return this.#parts.join('')
  }

  #node(node: Node): void {
    this.#nodes += 1
    if (this.#aliases > 0) this.#aliased += 1
    if (this.#aliased > 100 && this.#nodes > 1000 && this.#aliased / this.#nodes > allowedShare(this.#nodes)) throw tooMany()
    if (typeof node === 'string') return this.#put(node)
    if (node instanceof Alias) {
      this.#aliases += 1
      this.#node(node.to)
      this.#aliases -= 1
      return
    }
    this.#depth += 1
    if (this.#depth > maxDepth) throw new YamlError(`exceeded max depth of ${maxDepth}`)
    if (Array.isArray(node)) this.#list(node)
    else this.#mapping(node)
    this.#depth -= 1
  }

  #list(items: readonly Node[]): void {
    this.#put('[')
    for (const [i, item] of items.entries()) {
      if (i > 0) this.#put(',')
      this.#node(item)
    }
    this.#put(']')
  }

  #mapping(mapping: Mapping): void {
    let separator = '{'
    for (const { key, value } of mapping.values()) {
      this.#put(`${separator}${key}:`)
      this.#node(value)
      separator = ','
    }
    this.#put(separator === '{' ? '{}' : '}')
  }

  #put(text: string): void {
    this.#size += text.length
    if (this.#size > mostJson) throw tooMany()
    this.#parts.push(text)
  }
}

const tooMany = () => new YamlError('document contains excessive aliasing')

const [few, many] = [400_000, 4_000_000]
/** How much of a document may come from aliases: nearly all of a small one, a tenth of a very large one. */
const allowedShare = (nodes: number): number => 0.99 - 0.89 * Math.min(Math.max((nodes - few) / (many - few), 0), 1)
