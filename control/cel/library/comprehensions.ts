// Macros over two variables (`list.all(i, v, …)`, `map.transformList(k, v, …)`) and over what an optional
// holds (`o.optMap(v, …)`).

import { type ASTNode, type Environment, Optional } from '@marcbachmann/cel-js'

type Type = { kind: string; keyType?: Type; valueType?: Type }
/** A scope of the checker, and the same of the evaluator, with one more variable. */
type Scope = {
  forkWithVariable(name: string, type: Type): Scope
  reuse(scope: Scope): Scope
  setIterValue(value: unknown, evaluator: Evaluator): Scope
}
type Checker = {
  check(node: ASTNode, scope: Scope): Type
  getType(name: string): Type
  createError(code: string, message: string, node: ASTNode): Error
}
type Evaluator = { run(node: ASTNode, scope: Scope): unknown }

type Entry = [key: unknown, value: unknown]
/** What is made of the bodies' results, in order; `run` judges one entry by one of the bodies. */
type Fold = (entries: Entry[], run: (body: number, entry: Entry) => unknown) => unknown

const yes = (value: unknown): boolean => {
  if (typeof value === 'boolean') return value
  throw new Error('the predicate must return bool')
}

/** `bodies`: how many expressions follow the two variables. */
function overEntries(bodies: number, result: (checker: Checker, types: Type[]) => Type, fold: Fold) {
  return ({ args, receiver, ast }: { args: ASTNode[]; receiver: ASTNode; ast: ASTNode }) => {
    let scopes: [Scope, Scope] | undefined
    return {
      ast,
      async: false,
      typeCheck(checker: Checker, _: unknown, scope: Scope): Type {
        const range = checker.check(receiver, scope)
        const dyn = checker.getType('dyn')
        const first = scope.forkWithVariable(
          nameOf(checker, args[0]),
          range.kind === 'list' ? checker.getType('int') : (range.keyType ?? dyn),
        )
        scopes = [first, first.forkWithVariable(nameOf(checker, args[1]), range.valueType ?? dyn)]
        const types = args.slice(2, 2 + bodies).map((body) => checker.check(body, scopes![1]))
        return result(checker, types)
      },
      evaluate(evaluator: Evaluator, _: unknown, scope: Scope): unknown {
        const [first, second] = scopes!
        return fold(entriesOf(evaluator.run(receiver, scope)), (body, [key, value]) => {
          const outer = first.reuse(scope).setIterValue(key, evaluator)
          return evaluator.run(args[2 + body]!, second.reuse(outer).setIterValue(value, evaluator))
        })
      },
    }
  }
}

function nameOf(checker: Checker, node: ASTNode | undefined): string {
  if (node?.op === 'id') return node.args
  throw checker.createError('invalid_macro_argument', 'the iteration variables must be simple names', node!)
}

function entriesOf(range: unknown): Entry[] {
  if (Array.isArray(range)) return range.map((value, i): Entry => [BigInt(i), value])
  return range instanceof Map ? [...(range as Map<unknown, unknown>)] : Object.entries(range as object)
}

const bool = (checker: Checker) => checker.getType('bool')
const transformed =
  (filtered: boolean, entry: (key: unknown, value: unknown) => unknown, collect: (made: unknown[]) => unknown): Fold =>
  (entries, run) =>
    collect(entries.filter((each) => !filtered || yes(run(0, each))).map((each) => entry(each[0], run(filtered ? 1 : 0, each))))

export function comprehensions(environment: Environment): void {
  for (const range of ['list', 'map']) {
    environment
      .registerFunction(
        `${range}.all(ast, ast, ast): bool`,
        overEntries(1, bool, (entries, run) => entries.every((each) => yes(run(0, each)))),
      )
      .registerFunction(
        `${range}.exists(ast, ast, ast): bool`,
        overEntries(1, bool, (entries, run) => entries.some((each) => yes(run(0, each)))),
      )
      .registerFunction(
        `${range}.existsOne(ast, ast, ast): bool`,
        overEntries(1, bool, (entries, run) => entries.filter((each) => yes(run(0, each))).length === 1),
      )
    for (const filtered of [false, true]) {
      const bodies = filtered ? 2 : 1
      const args = filtered ? 'ast, ast, ast, ast' : 'ast, ast, ast'
      environment
        .registerFunction(
          `${range}.transformList(${args}): list<dyn>`,
          overEntries(
            bodies,
            (checker) => checker.getType('list'),
            transformed(
              filtered,
              (_, value) => value,
              (made) => made,
            ),
          ),
        )
        .registerFunction(
          `${range}.transformMap(${args}): map<dyn, dyn>`,
          overEntries(
            bodies,
            (checker) => checker.getType('map'),
            transformed(
              filtered,
              (key, value) => [key, value],
              (made) => new Map(made as Entry[]),
            ),
          ),
        )
    }
  }
  environment
    .registerFunction(
      'optional.optMap(ast, ast): optional<dyn>',
      overOptional((value) => Optional.of(value)),
    )
    .registerFunction(
      'optional.optFlatMap(ast, ast): optional<dyn>',
      overOptional((value) => value),
    )
}

function overOptional(wrapped: (value: unknown) => unknown) {
  return ({ args, receiver, ast }: { args: ASTNode[]; receiver: ASTNode; ast: ASTNode }) => {
    let inner: Scope | undefined
    return {
      ast,
      async: false,
      typeCheck(checker: Checker, _: unknown, scope: Scope): Type {
        const held = checker.check(receiver, scope)
        inner = scope.forkWithVariable(nameOf(checker, args[0]), held.valueType ?? checker.getType('dyn'))
        checker.check(args[1]!, inner)
        return checker.getType('optional')
      },
      evaluate(evaluator: Evaluator, _: unknown, scope: Scope): unknown {
        const held = evaluator.run(receiver, scope)
        if (!(held instanceof Optional)) throw new Error('optMap() receiver must be optional')
        return held.hasValue()
          ? wrapped(evaluator.run(args[1]!, inner!.reuse(scope).setIterValue(held.value(), evaluator)))
          : Optional.none()
      },
    }
  }
}
