// `||` and `&&` that tell the first of two errors, as Kubernetes does; the language's own tell the second.

import type { ASTNode } from '@marcbachmann/cel-js'

type Evaluator = {
  /** What went wrong is the result. */
  tryEval(node: ASTNode, scope: unknown): unknown
  createError(code: string, message: string, node: ASTNode): Error
  debugRuntimeType(value: unknown): unknown
}
type Evaluate = (evaluator: Evaluator, node: ASTNode, scope: unknown) => boolean
type Changeable = { setMeta(key: 'evaluate', value: Evaluate): void }

export function firstError(node: ASTNode): void {
  const [left, right] = node.args as [ASTNode, ASTNode]
  const decides = node.op === '||'
  ;(node as unknown as Changeable).setMeta('evaluate', (evaluator, _, scope) => {
    const first = evaluator.tryEval(left, scope)
    if (first === decides) return decides
    const second = evaluator.tryEval(right, scope)
    if (second === decides) return decides
    for (const [value, operand] of [
      [first, left],
      [second, right],
    ] as const) {
      if (value instanceof Error) throw value
      if (typeof value === 'boolean') continue
      const type = String(evaluator.debugRuntimeType(value))
      throw evaluator.createError('invalid_logical_operand', `Logical operator requires bool operands, got '${type}'`, operand)
    }
    return !decides
  })
}
