// `has(e.f)` for any e: the language's own takes only plain paths such as `a.b.c`. It is a macro that is
// expanded while parsing, so its name is changed before that; to one as long, so that positions stay true.

import type { ASTNode, Environment } from '@marcbachmann/cel-js'

type Checker = {
  check(node: ASTNode, context: unknown): unknown
  getType(name: string): unknown
  createError(code: string, message: string, node: ASTNode): Error
}
type Evaluator = {
  run(node: ASTNode, context: unknown): unknown
  debugType(value: unknown): { fieldLazy(value: unknown, name: string, node: ASTNode, evaluator: Evaluator): unknown }
}
type Macro = { field: ASTNode }

const own = 'hAs'
/** What may look like a call of it and is not, or is. */
const tokens = /r?("{3}[^]*?"{3}|'{3}[^]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?<![.\w])has(?=\s*\()/g

export const withOwnPresence = (source: string): string => source.replace(tokens, (token) => (token === 'has' ? own : token))
export const withoutOwnPresence = (text: string): string => text.replaceAll(own, 'has')

export function presence(environment: Environment): void {
  environment.registerFunction(`${own}(ast): bool`, ({ args }: { args: ASTNode[] }) => ({
    field: args[0],
    async: false,
    typeCheck(checker: Checker, { field }: Macro, context: unknown) {
      if (field.op !== '.') throw checker.createError('invalid_macro_argument', 'invalid argument to has() macro', field)
      checker.check(field, context)
      return checker.getType('bool')
    },
    evaluate(evaluator: Evaluator, { field }: Macro, context: unknown) {
      const [of, name] = field.args as [ASTNode, string]
      const object = evaluator.run(of, context)
      return evaluator.debugType(object).fieldLazy(object, name, field, evaluator) !== undefined
    },
  }))
}
