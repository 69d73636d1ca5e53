// The structure of a document: block and flow collections, anchors, aliases and merge keys.

import { YamlError } from './error.ts'
import { resolve, resolveTagged } from './scalar.ts'
import { isBlank, isFlowIndicator, Text } from './text.ts'

/** Scalars are JSON text. */
export type Node = string | Node[] | Mapping | Alias
/** By what tells keys apart: `1` and `"1"` are two. */
export type Mapping = Map<string, Member>
type Member = { key: string; value: Node; line: number }
export class Alias {
  readonly to: Node
  constructor(to: Node) {
    this.to = to
  }
}

/** As of JSON: deeper than any real object, and far from what the stack holds. */
export const maxDepth = 1000
/** Of keys that came twice. */
const mostDuplicates = 100

type Properties = { anchor?: string; tag?: string; column: number; line: number }
/** `key`: what it is as a key. `raw`: of a scalar, before it was resolved. */
type Simple = { node: Node; key: () => Key; raw?: { value: string; isQuoted: boolean } }
type Key = { id: string; key: string } | 'merge'
/** How a node may begin on the line of what it belongs to. */
type Place = 'afterKey' | 'afterDash' | 'start'

const dash = 0x2d
const question = 0x3f
const colon = 0x3a

export class Parser {
  /** `line 3: key "a" already set in map` */
  readonly duplicates: string[] = []
  readonly #text: Text
  readonly #anchors = new Map<string, Node | undefined>()
  #depth = 0
  /** The line on which the node that was read last began. */
  #began = 0

  constructor(text: string) {
    this.#text = new Text(text)
  }

  /** The next document; undefined where there is none any more. */
  document(): Node | undefined {
    const text = this.#text
    this.#anchors.clear()
    let isOpen = true
    for (;;) {
      text.skip()
      if (text.ended) return undefined
      if (text.column === 0 && text.char() === '%') {
        this.#directive()
        isOpen = false
      } else if (text.startsWith('...') && text.atDocumentEnd) text.at += 3
      else break
    }
    const isMarked = text.atDocumentEnd
    if (isMarked) text.at += 3
    else if (!isOpen) throw text.fail('did not find expected <document start>')
    const node = this.#block(-1, 'start')
    text.skip()
    if (!text.atDocumentEnd) throw text.fail('did not find expected <document start>')
    return node
  }

  #directive(): void {
    const from = this.#text.at
    this.#text.toLineEnd()
    const words = this.#text.slice(from).split(/[ \t]+/)
    if (words[0] === '%YAML' && words[1] !== '1.1') throw new YamlError('found incompatible YAML document')
  }

  /** What follows, indented deeper than `parent`; a list that is a key's value may stand as deep as the key. */
  #block(parent: number, place: Place): Node {
    const text = this.#text
    this.#deeper()
    let isFresh = text.skip() || (place === 'start' && text.column === 0)
    let outer: Properties | undefined
    let inner: Properties | undefined
    while (!this.#isEmptyAt(parent, place, isFresh) && (text.char() === '&' || text.char() === '!')) {
      if (inner) throw text.fail('did not find expected node content')
      const properties = this.#properties(false)
      if (outer) inner = properties
      else outer = properties
      isFresh = text.skip() && text.line > properties.line ? true : isFresh && text.line === properties.line
    }
    const { line } = text
    const node = this.#content(parent, place, isFresh, outer, inner)
    this.#began = line
    this.#depth -= 1
    return node
  }

  #isEmptyAt(parent: number, place: Place, isFresh: boolean): boolean {
    const text = this.#text
    if (text.atDocumentEnd) return true
    if (!isFresh || text.column > parent) return false
    return !(place === 'afterKey' && text.column === parent && this.#isIndicator(dash))
  }

  #isIndicator(code: number): boolean {
    return this.#text.code() === code && isBlank(this.#text.code(1))
  }

  #content(parent: number, place: Place, isFresh: boolean, outer?: Properties, inner?: Properties): Node {
    const text = this.#text
    if (this.#isEmptyAt(parent, place, isFresh)) {
      if (inner) throw text.fail('did not find expected node content')
      return this.#named(outer, this.#scalar(outer, ''))
    }
    const { column, line } = text
    // On the line of a key, properties are the key's.
    const own = inner ?? (outer?.line === line ? outer : undefined)
    const around = own === outer ? undefined : outer
    const mayNest = isFresh || place !== 'afterKey' || parent < 0
    const start = own?.column ?? column
    if (this.#isIndicator(dash)) {
      if (!mayNest || own) throw text.fail('block sequence entries are not allowed in this context')
      return this.#named(around, () => this.#sequence(column))
    }
    if (this.#isIndicator(question) || this.#isIndicator(colon)) {
      if (!mayNest) throw text.fail('mapping keys are not allowed in this context')
      return this.#named(around, () => this.#mapping(column, undefined))
    }
    if (text.char() === '|' || text.char() === '>') {
      if (inner) throw text.fail('did not find expected node content')
      return this.#named(outer, this.#scalar(outer, text.block(parent), true))
    }
    const first = this.#simple(parent, own, false)
    text.blanks()
    if (!this.#isIndicator(colon)) {
      if (inner) throw text.fail('did not find expected node content')
      const node = around?.tag !== undefined && first.raw ? this.#scalar(around, first.raw.value, first.raw.isQuoted) : first.node
      return this.#named(around, node)
    }
    if (!mayNest || text.line > line) throw text.fail('mapping values are not allowed in this context')
    return this.#named(around, () => this.#mapping(start, first.key))
  }

  /** A scalar, an alias or a flow collection. */
  #simple(indent: number, properties: Properties | undefined, inFlow: boolean): Simple {
    const text = this.#text
    switch (text.char()) {
      case '*': {
        if (properties) throw text.fail('did not find expected node content')
        const node = this.#alias()
        return { node, key: () => keyOf(node.to) }
      }
      case '[':
      case '{': {
        const node = this.#named(properties, () => this.#flow())
        return { node, key: () => keyOf(node) }
      }
      case '"':
      case "'": {
        const value = text.char() === '"' ? text.double() : text.single()
        const node = this.#named(properties, this.#scalar(properties, value, true))
        return { node, key: () => keyOf(node), raw: { value, isQuoted: true } }
      }
      default: {
        if (!this.#startsPlain(inFlow)) throw text.fail('found character that cannot start any token')
        const value = text.plain(indent, inFlow)
        const node = this.#named(properties, this.#scalar(properties, value))
        return { node, key: () => (value === '<<' && !properties?.tag ? 'merge' : keyOf(node)), raw: { value, isQuoted: false } }
      }
    }
  }

  #startsPlain(inFlow: boolean): boolean {
    const text = this.#text
    const char = text.char()
    if (char === ':' && inFlow) return false
    if (char === '-' || char === '?' || char === ':')
      return !isBlank(text.code(1)) && !(inFlow && isFlowIndicator(text.code(1)) && char === '?')
    return !',[]{}#&*!|>\'"%@`'.includes(char)
  }

  #sequence(column: number): Node[] {
    const text = this.#text
    const items: Node[] = []
    for (;;) {
      text.at += 1
      items.push(this.#block(column, 'afterDash'))
      text.skip()
      if (text.atDocumentEnd || text.column < column) return items
      if (text.column > column || !this.#isIndicator(dash)) {
        // A list may stand as deep as its key, and what follows it is the next key.
        if (text.column === column) return items
        throw text.fail("did not find expected '-' indicator")
      }
    }
  }

  #mapping(column: number, first: (() => Key) | undefined): Mapping {
    const text = this.#text
    const mapping: Mapping = new Map()
    for (let next = first; ; next = undefined) {
      let key: Key
      let value: Node = 'null'
      if (!next && this.#isIndicator(question)) {
        text.at += 1
        key = keyOf(this.#block(column, 'afterDash'))
        text.skip()
        if (!text.atDocumentEnd && text.column === column && this.#isIndicator(colon)) {
          text.at += 1
          value = this.#block(column, 'afterDash')
        }
      } else {
        key = next ? next() : this.#implicitKey(column)
        text.at += 1
        value = this.#block(column, 'afterKey')
      }
      this.#put(mapping, key, value, this.#began)
      text.skip()
      if (text.atDocumentEnd || text.column < column) return mapping
      if (text.column > column) throw text.fail('did not find expected key')
    }
  }

  #implicitKey(column: number): Key {
    const text = this.#text
    const { line } = text
    const hasProperties = text.char() === '&' || text.char() === '!'
    const properties = hasProperties ? this.#properties(false) : undefined
    if (hasProperties) text.blanks()
    if (this.#isIndicator(dash)) throw text.fail('did not find expected key')
    const { key } = this.#isIndicator(colon) ? { key: () => keyOf(this.#scalar(properties, '')) } : this.#simple(column, properties, false)
    text.blanks()
    if (text.line > line || !this.#isIndicator(colon)) throw text.fail("could not find expected ':'")
    return key()
  }

  #flow(): Node {
    this.#deeper()
    const text = this.#text
    const opening = text.char()
    text.at += 1
    const node = opening === '[' ? this.#flowSequence() : this.#flowMapping()
    this.#depth -= 1
    return node
  }

  #flowSequence(): Node[] {
    const text = this.#text
    const items: Node[] = []
    for (;;) {
      text.skip(true)
      if (text.char() === ']') break
      const { line } = text
      const { node, key, isExplicit } = this.#flowNode(',]')
      text.skip(true)
      if (isExplicit || this.#isFlowColon(true)) {
        const pair: Mapping = new Map()
        this.#put(pair, key(), this.#flowValue(), line)
        items.push(pair)
      } else items.push(node)
      this.#flowEnd(']')
      if (text.char() === ']') break
      text.at += 1
    }
    text.at += 1
    return items
  }

  #flowMapping(): Mapping {
    const text = this.#text
    const mapping: Mapping = new Map()
    for (;;) {
      text.skip(true)
      if (text.char() === '}') break
      const { line } = text
      const { key } = this.#flowNode(',}')
      this.#put(mapping, key(), this.#flowValue(), line)
      this.#flowEnd('}')
      if (text.char() === '}') break
      text.at += 1
    }
    text.at += 1
    return mapping
  }

  /** At the comma or the end. */
  #flowEnd(closing: string): void {
    const text = this.#text
    text.skip(true)
    if (text.char() !== ',' && text.char() !== closing) throw text.fail(`did not find expected ',' or '${closing}'`)
  }

  #flowNode(ends: string): { node: Node; key: () => Key; isExplicit: boolean } {
    const text = this.#text
    const isExplicit = this.#isIndicator(question)
    if (isExplicit) {
      text.at += 1
      text.skip(true)
    }
    const hasProperties = text.char() === '&' || text.char() === '!'
    const properties = hasProperties ? this.#properties(true) : undefined
    if (hasProperties) text.skip(true)
    const isEmpty = (hasProperties || isExplicit) && ends.includes(text.char())
    if (text.ended) throw text.fail(`did not find expected ',' or '${ends[1]}'`)
    if (isEmpty || this.#isFlowColon(false)) {
      const node = this.#named(properties, this.#scalar(properties, ''))
      return { node, key: () => keyOf(node), isExplicit }
    }
    if (!this.#mayStart()) throw text.fail('did not find expected node content')
    return { ...this.#simple(-1, properties, true), isExplicit }
  }

  #mayStart(): boolean {
    const char = this.#text.char()
    return '[{"\'*'.includes(char) || this.#startsPlain(true)
  }

  /** `afterNode`: after a quoted key or a collection the colon may touch its value. */
  #isFlowColon(afterNode: boolean): boolean {
    const text = this.#text
    return text.code() === colon && (afterNode || isBlank(text.code(1)) || isFlowIndicator(text.code(1)))
  }

  #flowValue(): Node {
    const text = this.#text
    text.skip(true)
    if (!this.#isFlowColon(true)) return 'null'
    text.at += 1
    text.skip(true)
    if (text.char() === ',' || text.char() === '}' || text.char() === ']') return 'null'
    return this.#flowNode(',}').node
  }

  #put(mapping: Mapping, key: Key, value: Node, line: number): void {
    if (key === 'merge') return this.#merge(mapping, value)
    const { id, key: name } = key
    if (mapping.has(id)) this.#duplicate(line, id)
    mapping.set(id, { key: name, value, line })
  }

  #duplicate(line: number, id: string): void {
    if (this.duplicates.length < mostDuplicates) this.duplicates.push(`line ${line}: key ${id} already set in map`)
  }

  /** Of several maps the first counts. */
  #merge(mapping: Mapping, value: Node): void {
    const given = value instanceof Alias ? value.to : value
    const maps = Array.isArray(given) ? given.toReversed() : [given]
    for (const each of maps) {
      const map = each instanceof Alias ? each.to : each
      if (!(map instanceof Map)) throw new YamlError('map merge requires map or sequence of maps as the value')
      this.#merged += map.size
      if (this.#merged > mostMerged) throw new YamlError('document contains excessive aliasing')
      for (const [id, member] of map) {
        if (mapping.has(id)) this.#duplicate(member.line, id)
        mapping.set(id, { ...member, value: new Alias(member.value) })
      }
    }
  }
  #merged = 0

  #properties(inFlow: boolean): Properties {
    const text = this.#text
    const found: Properties = { column: text.column, line: text.line }
    for (;;) {
      const char = text.char()
      if (char === '&' && found.anchor === undefined) {
        text.at += 1
        found.anchor = text.name()
      } else if (char === '!' && found.tag === undefined) found.tag = text.tag(inFlow)
      else if (char === '&' || char === '!') throw text.fail('did not find expected node content')
      else return found
      const { at } = text
      text.blanks()
      if (text.char() !== '&' && text.char() !== '!') {
        text.at = at
        return found
      }
    }
  }

  #alias(): Alias {
    const text = this.#text
    text.at += 1
    const word = text.name()
    if (!this.#anchors.has(word)) throw new YamlError(`unknown anchor '${word}' referenced`)
    const to = this.#anchors.get(word)
    if (to === undefined) throw new YamlError(`anchor '${word}' value contains itself`)
    return new Alias(to)
  }

  /** Remembers the node by its anchor; while it is read, nothing can refer to it. */
  #named(properties: Properties | undefined, node: Node | (() => Node)): Node {
    const anchor = properties?.anchor
    if (anchor !== undefined) this.#anchors.set(anchor, undefined)
    const made = typeof node === 'function' ? node() : node
    if (anchor !== undefined) this.#anchors.set(anchor, made)
    return made
  }

  #scalar(properties: Properties | undefined, value: string, isText = false): string {
    const tag = properties?.tag
    const { json } = tag !== undefined ? resolveTagged(tag, value) : isText ? { json: JSON.stringify(value) } : resolve(value)
    if (json === 'NaN' || json.endsWith('Inf')) throw new YamlError(`json: unsupported value: ${json}`)
    return json
  }

  #deeper(): void {
    this.#depth += 1
    if (this.#depth > maxDepth) throw this.#text.fail(`exceeded max depth of ${maxDepth}`)
  }
}

/** Of keys that merges bring: each is a step. */
const mostMerged = 100_000

function keyOf(node: Node): Key {
  const value = node instanceof Alias ? node.to : node
  if (typeof value !== 'string') throw new YamlError(`invalid map key: ${Array.isArray(value) ? 'a sequence' : 'a mapping'}`)
  if (value === 'null') throw new YamlError('unsupported map key of type: null')
  return { id: value, key: value.startsWith('"') ? value : JSON.stringify(value) }
}
