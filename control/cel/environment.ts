// CEL as Kubernetes has it: the language of @marcbachmann/cel-js with the functions that Kubernetes adds,
// and regular expressions that cannot hang. Runs in the worker only (worker.ts), where a deadline holds.

import { type ASTNode, Environment } from '@marcbachmann/cel-js'
import type { Patterns } from '#api/schema/crd/pattern.ts'
import { addresses } from './library/addresses.ts'
import { comprehensions } from './library/comprehensions.ts'
import { firstError } from './library/first-error.ts'
import { formats } from './library/formats.ts'
import { lists } from './library/lists.ts'
import { besideNull } from './library/nulls.ts'
import { presence, withOwnPresence, withoutOwnPresence } from './library/presence.ts'
import { quantities } from './library/quantities.ts'
import { semvers } from './library/semver.ts'
import { texts } from './library/texts.ts'
import { urls } from './library/urls.ts'

/** Beyond these an expression is refused before it runs. */
const limits = { maxAstNodes: 10_000, maxDepth: 150, maxListElements: 1000, maxMapEntries: 1000, maxCallArguments: 32 }

/** Built-in functions that are replaced: what they are called under the hood. */
const replaced: Readonly<Record<string, string>> = { matches: 'matchesPattern', format: 'formatText', split: 'splitText' }

export type Program = {
  /** Checked. */
  ast: ASTNode
  /** Name of the result's type, e.g. `bool`. */
  type: string
  /** Names of all variables that it mentions. */
  uses: ReadonlySet<string>
  run(variables: Readonly<Record<string, unknown>>): unknown
}

/** Without variables; clone it to declare some. */
export function environment(patterns: Patterns): Environment {
  const made = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false, limits })
  for (const library of [comprehensions, lists, texts({ patterns }), presence, formats, quantities, urls, addresses, semvers]) library(made)
  return made
}

/** Throws Error where the expression makes no sense in `environment`. */
export function compile(environment: Environment, source: string): Program {
  const uses = new Set<string>()
  let parsed: ReturnType<Environment['parse']>
  try {
    parsed = environment.parse(withOwnPresence(source))
  } catch (error) {
    throw wrong(error)
  }
  visit(parsed.ast, (node) => {
    const args = node.args as unknown
    if (node.op === 'id') uses.add(args as string)
    if (node.op === '||' || node.op === '&&') firstError(node)
    if (node.op === '?:' || node.op === '==' || node.op === '!=') besideNull(node)
    if ((node.op === 'call' || node.op === 'rcall') && Array.isArray(args)) {
      const name = args[0] as string
      if (Object.hasOwn(replaced, name)) args[0] = replaced[name]
    }
  })
  const checked = parsed.check()
  if (!checked.valid || !checked.type) throw wrong(checked.error)
  return { ast: parsed.ast, type: checked.type, uses, run: (variables) => parsed({ ...variables }) as unknown }
}

/** As `compile`, with the Error in place of what cannot be made. */
export function compiled(environment: Environment, source: string): Program | Error {
  try {
    return compile(environment, source)
  } catch (error) {
    return error as Error
  }
}

/** What went wrong, without the excerpt that the library draws under it. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { summary } = error as { summary?: unknown }
  return named(typeof summary === 'string' ? summary : error.message)
}

function wrong(error: unknown): Error {
  const { range, code, node } = error as { range?: { start: number }; code?: string; node?: ASTNode }
  const at = range ? `<input>:1:${range.start + 1}: ` : ''
  const [, field] = node?.op === '.' ? node.args : []
  return new Error(at + (code === 'no_such_key' && field ? `undefined field '${field}'` : reasonOf(error)), { cause: error })
}

/** In the words that its author knows. */
const named = (text: string): string =>
  Object.entries(replaced)
    .reduce((all, [name, inner]) => all.replaceAll(inner, name), withoutOwnPresence(text))
    .replace(/^No such key/, 'no such key')
    .replace(/^Unknown variable: (.*)/, "undeclared reference to '$1' (in container '')")

function visit(node: unknown, on: (node: ASTNode) => void): void {
  if (Array.isArray(node)) for (const each of node) visit(each, on)
  else if (typeof node === 'object' && node !== null && 'op' in node && 'args' in node) {
    on(node as ASTNode)
    visit(node.args, on)
  }
}
