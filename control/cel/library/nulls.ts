// Null beside what may be null in Kubernetes' dialect: timestamps, durations, optionals, objects, and the
// types that it adds. They are compared with it, and stand beside it in the branches of a condition.

import type { ASTNode } from '@marcbachmann/cel-js'

type Type = { kind: string; name: string }
type Checker = { check(node: ASTNode, scope: unknown): Type; getType(name: string): Type }
type Check = (checker: Checker, node: ASTNode, scope: unknown) => Type
type Evaluator = { run(node: ASTNode, scope: unknown): unknown; createError(code: string, message: string, node: ASTNode): Error }
type Choose = (condition: unknown, evaluator: Evaluator, node: ASTNode, scope: unknown) => unknown
type Compare = (left: unknown, right: unknown) => boolean
/** `handle`: what the evaluator calls with the values of the operands, or of the condition. */
type Changeable = { meta: { check: Check }; setMeta(key: 'check', value: Check): void; handle?: Choose | Compare }

const nullable = new Set(['google.protobuf.Timestamp', 'google.protobuf.Duration'])
const mayBeNull = ({ kind, name }: Type): boolean => kind === 'optional' || kind === 'message' || nullable.has(name)

/** For `==`, `!=` and `?:`: takes a null beside such a type, where the language itself refuses it. */
export function besideNull(node: ASTNode): void {
  const changeable = node as unknown as Changeable
  const own = changeable.meta.check
  const operands = (node.args as ASTNode[]).slice(-2)
  changeable.setMeta('check', (checker, checked, scope) => {
    try {
      return own(checker, checked, scope)
    } catch (error) {
      const types = operands.map((operand) => checker.check(operand, scope))
      const other = types.find(({ name }) => name !== 'null')
      if (!other || types.every(({ name }) => name !== 'null') || !mayBeNull(other)) throw error
      if (node.op === '?:') {
        changeable.handle = choose(operands as [ASTNode, ASTNode])
        return other
      }
      const wanted = node.op === '=='
      changeable.handle = (left: unknown, right: unknown) => (left === right) === wanted
      return checker.getType('bool')
    }
  })
}

const choose =
  ([yes, no]: [ASTNode, ASTNode]): Choose =>
  (condition, evaluator, node, scope) => {
    if (typeof condition === 'boolean') return evaluator.run(condition ? yes : no, scope)
    throw evaluator.createError('invalid_condition_type', 'Ternary condition must be bool', node)
  }
